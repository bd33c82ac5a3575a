/**
 * The engines that are compared. Every measurement is a request that a module of engines/ answers in
 * a process of its own, `measure(request)`; its `kind` is describe, text (a greedy continuation), pp
 * and tg (prefill and decode), stream, serve (conversations at once), and of Cria alone read and load.
 * `variants(case)` gives the settings under which an engine can measure a case: a trial finds the best
 * one, which counts.
 */
import { inChild } from './child.mjs'
import * as cria from './engines/cria.mjs'
import * as llamaBench from './engines/llama-bench.mjs'
import * as nodeLlamaCpp from './engines/node-llama-cpp.mjs'
import { demoModel } from './models.mjs'
import { OWN } from './results.mjs'

/** Of every engine, so that a prompt of 512 is one batch. */
const BATCH_SIZE = 512

class Engine {
  constructor(name, file, module, own = {}) {
    this.name = name
    this.file = file
    this.module = module
    this.own = own // what each of its requests carries
  }

  ask(request) {
    return inChild(this.file, { batchSize: BATCH_SIZE, ...request, ...this.own })
  }

  /** `{ version }`; of Cria also the machine, and how many threads it takes by itself. */
  describe() {
    return this.ask({ kind: 'describe', path: demoModel, threads: 1 })
  }

  measures(work) {
    return this.module.measures?.(work, this.own) ?? true
  }

  variants(work) {
    return this.module.variants(work, this.own)
  }
}

/** `[cria, peer]`, and a llama-bench binary where one is named. */
export function enginesOf({ llamaBench: binary, llamaBenchName }) {
  const engines = [
    new Engine(OWN, 'cria', cria),
    new Engine('node-llama-cpp', 'node-llama-cpp', nodeLlamaCpp)
  ]
  if (binary === undefined) return engines
  const { name, flags } = llamaBench.probe(binary)
  return [
    ...engines,
    new Engine(llamaBenchName ?? name, 'llama-bench', llamaBench, { binary, flags })
  ]
}
