/** `cria doctor`: what Cria finds on this machine, and whether it works. */
import { type CudaDiagnosis, type Diagnosis, diagnose, diagnoseCuda, Model } from '../index.js'
import type { Command } from './command.js'
import { exitCodes } from './exit.js'
import type { Arguments } from './flags.js'
import { deviceFlag, toDevice } from './groups.js'
import { bytes, print, printJson } from './output.js'

export const doctorCommand: Command = {
  name: 'doctor',
  operands: '',
  maxOperands: 0,
  summary: 'report versions, CPU features, kernels, GPUs and memory, and try the demo model',
  flags: [
    deviceFlag,
    { name: 'json', kind: 'switch', help: 'print everything as one JSON object' }
  ],
  run
}

async function run(args: Arguments): Promise<number> {
  const devices = toDevice(args)
  const found = diagnose()
  const cuda = await diagnoseCuda()
  const trial = await tryDemo(devices)
  if (args.has('json')) await printJson({ ...found, cuda, trial })
  else await print(`${lines(found, cuda, trial).join('\n')}\n`)
  return trial.works && found.cpu.problem === null ? exitCodes.ok : exitCodes.failure
}

type Trial =
  | { readonly works: true; readonly device: string; readonly tokensPerSecond: number }
  | { readonly works: false; readonly error: string }

/** A few tokens of the demo model, from file to text. */
async function tryDemo(devices: string | undefined): Promise<Trial> {
  try {
    await using model = await Model.load(undefined, { devices })
    const { timings } = await model.generate('Once upon a time', { maxTokens: 32, temperature: 0 })
    const { device } = model.info
    return { works: true, device, tokensPerSecond: timings.decodeTokensPerSecond }
  } catch (error) {
    return { works: false, error: (error as Error).message }
  }
}

/** Each device, or why there is none. */
function describeCuda({ build, problem, devices }: CudaDiagnosis): string {
  if (problem !== null) return problem
  const each = devices.map(({ device, name, capability, memoryBytes, freeBytes, problem: why }) => {
    const memory = `${bytes(freeBytes)} free of ${bytes(memoryBytes)}`
    return why ?? `${device} ${name}, compute capability ${capability}, ${memory}`
  })
  return `${each.join('; ')} (plugin: ${build})`
}

function lines(
  { version, machine, addon, cpu, availableBytes }: Diagnosis,
  cuda: CudaDiagnosis,
  trial: Trial
): string[] {
  const name = ({ name, variant }: { name: string; variant: string }) =>
    variant === '' || variant === name ? name : `${name} (${variant})`
  const tables = cpu.tables.map((table) => `${name(table)}${table.supported ? '' : ': not here'}`)
  const why = cpu.forced === null ? 'the best that this CPU runs' : `CRIA_CPU=${cpu.forced}`
  const rows: [string, string][] = [
    ['cria', version],
    ['node', `${machine.node} on ${machine.os}`],
    ['addon', `${addon.version}, ${addon.path}`],
    ['cpu features', cpu.features.join(' ') || 'none of those that kernels use'],
    ['kernel tables', tables.join(', ')],
    ['selected', cpu.selected ? `${name(cpu.selected)}: ${why}` : `none: ${cpu.problem}`],
    ['threads', `${cpu.threads} by default`],
    ['memory', `${bytes(availableBytes)} free of ${bytes(machine.memoryBytes)}`],
    ['cuda', describeCuda(cuda)],
    [
      'demo model',
      trial.works
        ? `works on ${trial.device}, ${trial.tokensPerSecond.toFixed(1)} tokens/s`
        : `fails: ${trial.error}`
    ]
  ]
  return rows.map(([key, value]) => `${key.padEnd(15)}${value}`)
}
