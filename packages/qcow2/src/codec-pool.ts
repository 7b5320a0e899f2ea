/** Workers that compress and decompress clusters, started when there is first enough to do. @module */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { GranaryError, siblingModule } from '@granary/core'
import type { Bytes } from '@granary/core'
import { END, SLOT_BYTES } from './codec-job.ts'
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
  /** @param output shared memory that the results go straight into, instead of this slot's output */
  run(
    work: {
      readonly compression: Compression
      readonly level?: number
      readonly output?: SharedArrayBuffer | undefined
    },
    items: readonly CodecItem[],
  ): Promise<readonly number[]>
}

interface Waiting {
  readonly resolve: (lengths: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

export class CodecPool {
  /** Workers it may have; 0: it must not be used. */
  readonly size: number
  readonly #workers: Worker[] = []
  readonly #free: HeldSlot[] = []
  readonly #queue: { resolve: (slot: HeldSlot) => void; reject: (error: unknown) => void }[] = []
  readonly #waiting = new Set<Waiting>()
  #failure: GranaryError | undefined
  #isReady = false
  #isClosed = false

  constructor(size: number) {
    this.size = size
  }

  /** True once workers wait for work. Asking starts them: until they are there, whoever asks does the work itself. */
  get isReady(): boolean {
    if (this.#workers.length === 0 && this.size > 0 && !this.#isClosed) this.#start()
    return this.#isReady
  }

  /** Runs `action` with a slot of its own. */
  async withSlot<Result>(action: (slot: HeldSlot) => Promise<Result>): Promise<Result> {
    if (this.#failure !== undefined) throw this.#failure
    const slot =
      this.#free.pop() ?? (await new Promise<HeldSlot>((resolve, reject) => this.#queue.push({ resolve, reject })))
    try {
      return await action(slot)
    } finally {
      this.#give(slot)
    }
  }

  #give(slot: HeldSlot): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#free.push(slot)
    else next.resolve(slot)
  }

  #start(): void {
    for (let index = 0; index < this.size; index++) {
      const memory = Array.from({ length: SLOTS_PER_WORKER }, () => ({
        input: new SharedArrayBuffer(SLOT_BYTES),
        output: new SharedArrayBuffer(SLOT_BYTES),
      }))
      const worker = new Worker(siblingModule(import.meta.url, 'codec.worker'), { workerData: memory })
      this.#workers.push(worker)
      const jobs = new Map<number, Waiting>()
      worker.on('error', cause => this.#fail(new GranaryError('GRANARY_IO', 'a codec worker died', { cause })))
      worker.on('message', (reply: CodecReply) => {
        if (reply === 'ready') {
          this.#isReady = !this.#isClosed
          for (const [slot, one] of memory.entries())
            this.#give(makeSlot(slot, one, job => this.#post(worker, jobs, job)))
          return
        }
        const one = jobs.get(reply.slot)
        if (one === undefined) return
        jobs.delete(reply.slot)
        this.#waiting.delete(one)
        if (jobs.size === 0) worker.unref()
        if ('lengths' in reply) one.resolve(reply.lengths)
        else one.reject(new GranaryError('GRANARY_CORRUPT', reply.error, { detail: { format: 'qcow2' } }))
      })
      worker.unref() // A disk that nobody closes must not keep the process alive. Listening would: so this comes last.
    }
  }

  async #post(worker: Worker, jobs: Map<number, Waiting>, job: CodecJob): Promise<readonly number[]> {
    if (this.#failure !== undefined) throw this.#failure
    return await new Promise((resolve, reject) => {
      const one = { resolve, reject }
      jobs.set(job.slot, one)
      this.#waiting.add(one)
      worker.ref()
      worker.postMessage(job)
    })
  }

  /** Whatever is under way, and whatever comes, fails. */
  #fail(error: GranaryError): void {
    this.#failure ??= error
    for (const { reject } of [...this.#waiting, ...this.#queue.splice(0)]) reject(error)
    this.#waiting.clear()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#isReady = false
    this.#fail(new GranaryError('GRANARY_INVALID_ARGUMENT', 'the disk was closed while it was used'))
    await Promise.all(this.#workers.splice(0).map(end))
  }
}

/** Lets a worker finish what it has. One that died has ended. */
const end = async (worker: Worker): Promise<void> => {
  if (worker.threadId === -1) return
  const exit = new Promise(resolve => worker.once('exit', resolve))
  worker.ref()
  worker.postMessage(END)
  await exit
}

/** @param post sends a job to the worker that the slot belongs to */
const makeSlot = (slot: number, memory: CodecSlot, post: (job: CodecJob) => Promise<readonly number[]>): HeldSlot => ({
  input: new Uint8Array(memory.input),
  output: new Uint8Array(memory.output),
  run: ({ compression, level, output }, items) => post({ slot, compression, level, output, items }),
})
