/** Results of a measurement as they lie in results/: with the command, the day, the machine and the model. */
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'

/** `info`: the `model.info` of the model that was measured. */
export function saveResults(path, { command, info, rows }) {
  const report = {
    command,
    date: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0]?.model, cores: availableParallelism() },
    model: { description: info.description, threads: info.threads, kernels: info.kernels },
    rows
  }
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`)
}
