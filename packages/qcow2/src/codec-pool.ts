/** Workers that compress and decompress clusters, started when there is first enough to do. @module */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { GranaryError, siblingModule } from '@granary/core'
import type { Bytes } from '@granary/core'
import { SLOT_BYTES } from './codec-job.ts'
import type { CodecItem, CodecJob, CodecReply, CodecSlot } from './codec-job.ts'
import type { Compression } from './header.ts'

/** Per worker: one to work on while the other is filled. */
const SLOTS_PER_WORKER = 2
const MAX_WORKERS = 4

/** Workers by default: none where there is one processor. */
export const defaultWorkers = (): number =>
  availableParallelism() > 1 ? Math.min(MAX_WORKERS, availableParallelism()) : 0

/** A slot that the holder fills, has worked on, and gives back. */
export interface HeldSlot {
  readonly input: Bytes
  readonly output: Bytes
  run(compression: Compression, level: number | undefined, items: readonly CodecItem[]): Promise<readonly number[]>
}

interface Slot extends HeldSlot {
  readonly memory: CodecSlot
}

interface Waiting {
  readonly resolve: (lengths: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

export class CodecPool {
  /** Workers it may have; 0: it must not be used. */
  readonly size: number
  readonly #workers: Worker[] = []
  readonly #free: Slot[] = []
  readonly #queue: ((slot: Slot) => void)[] = []
  #failure: GranaryError | undefined

  constructor(size: number) {
    this.size = size
  }

  /** Runs `action` with a slot of its own. */
  async withSlot<Result>(action: (slot: HeldSlot) => Promise<Result>): Promise<Result> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#workers.length === 0) this.#start()
    const slot = this.#free.pop() ?? (await new Promise<Slot>(resolve => this.#queue.push(resolve)))
    try {
      return await action(slot)
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#free.push(slot)
      else next(slot)
    }
  }

  #start(): void {
    for (let index = 0; index < this.size; index++) {
      const memory = Array.from({ length: SLOTS_PER_WORKER }, () => ({
        input: new SharedArrayBuffer(SLOT_BYTES),
        output: new SharedArrayBuffer(SLOT_BYTES),
      }))
      const worker = new Worker(siblingModule(import.meta.url, 'codec.worker'), { workerData: memory })
      worker.unref() // A disk that nobody closes must not keep the process alive.
      this.#workers.push(worker)
      const waiting = new Map<number, Waiting>()
      worker.on('message', (reply: CodecReply) => {
        const one = waiting.get(reply.slot)
        waiting.delete(reply.slot)
        if (waiting.size === 0) worker.unref()
        if ('lengths' in reply) one?.resolve(reply.lengths)
        else one?.reject(new GranaryError('GRANARY_CORRUPT', reply.error, { detail: { format: 'qcow2' } }))
      })
      worker.on('error', cause => {
        this.#failure = new GranaryError('GRANARY_IO', 'a codec worker died', { cause })
        for (const one of waiting.values()) one.reject(this.#failure)
        waiting.clear()
      })
      for (const [slot, { input, output }] of memory.entries())
        this.#free.push(makeSlot(worker, waiting, slot, { input, output }))
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map(worker => worker.terminate()))
    this.#free.length = 0
  }
}

const makeSlot = (worker: Worker, waiting: Map<number, Waiting>, slot: number, memory: CodecSlot): Slot => ({
  memory,
  input: new Uint8Array(memory.input),
  output: new Uint8Array(memory.output),
  run: (compression, level, items) =>
    new Promise((resolve, reject) => {
      waiting.set(slot, { resolve, reject })
      worker.ref()
      const job: CodecJob = { slot, compression, level, items }
      worker.postMessage(job)
    }),
})
