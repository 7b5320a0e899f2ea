/**
 * Who stores windows: worker threads, or the caller's own thread. Each worker has one open pack and takes one window at a time.
 *
 * @module
 */
import { Worker } from 'node:worker_threads'
import { siblingModule } from '@granary/core'
import type { Bytes } from '@granary/core'
import { fromPlainError, toPlainError } from './messages.ts'
import type { FromWorker, Place, ToWorker } from './messages.ts'
import type { PackPiece, WindowHost, WindowJob, WindowResult, WindowSetup } from './window-job.ts'
import { WindowWorker } from './window-worker.ts'

/** What the pool's owner does for all workers; `worker` tells whose open pack a piece belongs to. */
export interface PoolHost {
  claim(ids: Bytes): Promise<Bytes>
  emit(worker: number, piece: PackPiece): Promise<void>
}

/** Fills a target from the disk. */
export type ReadDisk = (offset: number, target: Bytes) => Promise<void>

export interface WindowPool extends AsyncDisposable {
  /** Windows that can be under way at once. */
  readonly size: number
  store(job: WindowJob, read: ReadDisk): Promise<WindowResult>
  /** Ends all open packs. */
  finish(): Promise<void>
}

interface WindowLane {
  store(job: WindowJob, read: ReadDisk): Promise<WindowResult>
  finish(): Promise<void>
  close(): Promise<void>
}

/** A pool of `workers` threads; 0 runs on the caller's thread. Memory: about 32 MiB a worker, beside what its compressor takes. */
export const openWindowPool = async (setup: WindowSetup, host: PoolHost, workers: number): Promise<WindowPool> => {
  const lanes: WindowLane[] =
    workers === 0
      ? [inlineLane(setup, host)]
      : await Promise.all(Array.from({ length: workers }, async (_, i) => await openThread(setup, host, i)))
  const free = [...lanes]
  const waiters: ((lane: WindowLane) => void)[] = []
  const release = (lane: WindowLane): void => {
    const waiter = waiters.shift()
    if (waiter === undefined) free.push(lane)
    else waiter(lane)
  }
  return {
    size: lanes.length,
    async store(job, read) {
      const lane = free.pop() ?? (await new Promise<WindowLane>(resolve => waiters.push(resolve)))
      try {
        return await lane.store(job, read)
      } finally {
        release(lane)
      }
    },
    async finish() {
      await Promise.all(lanes.map(async lane => await lane.finish()))
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(lanes.map(async lane => await lane.close()))
    },
  }
}

const setupOfLane = (setup: WindowSetup, lane: number): WindowSetup => {
  const { first, step } = setup.numbers
  return { ...setup, numbers: { first: first + lane, step } }
}

const inlineLane = (setup: WindowSetup, host: PoolHost): WindowLane => {
  let read: ReadDisk | undefined
  const worker = new WindowWorker(setup, {
    read: async (offset, target) => await read?.(offset, target),
    claim: async ids => {
      // Native compressors free their results only between turns of the event loop.
      await new Promise(resolve => setImmediate(resolve))
      return await host.claim(ids)
    },
    emit: async piece => await host.emit(0, piece),
  } satisfies WindowHost)
  return {
    async store(job, readDisk) {
      read = readDisk
      return await worker.store(job)
    },
    finish: async () => await worker.finish(),
    async close() {},
  }
}

interface Waiter {
  readonly resolve: (result: WindowResult | undefined) => void
  readonly reject: (error: Error) => void
}

const openThread = async (setup: WindowSetup, host: PoolHost, number: number): Promise<WindowLane> => {
  const thread = new Worker(siblingModule(import.meta.url, 'window.worker'), { workerData: setupOfLane(setup, number) })
  let memory: SharedArrayBuffer | undefined
  let read: ReadDisk | undefined
  let current: Waiter | undefined
  let failure: Error | undefined
  const bytesAt = ({ pointer, length }: Place): Bytes => new Uint8Array(memory as SharedArrayBuffer, pointer, length)
  const say = (message: ToWorker): void => thread.postMessage(message)

  const answer = async (message: Extract<FromWorker, { id: number }>): Promise<void> => {
    try {
      if (message.type === 'claim') say({ type: 'reply', id: message.id, value: await host.claim(message.ids) })
      else {
        if (message.type === 'read') await read?.(message.offset, bytesAt(message.target))
        else
          await host.emit(number, {
            number: message.number,
            bytes: bytesAt(message.bytes),
            ...(message.end === undefined ? {} : { end: message.end }),
          })
        say({ type: 'reply', id: message.id })
      }
    } catch (error) {
      say({ type: 'reply', id: message.id, error: toPlainError(error) })
    }
  }
  const fail = (error: Error): void => {
    failure = error
    current?.reject(error)
    current = undefined
  }
  const ready = new Promise<void>((resolve, reject) => {
    thread.on('message', (message: FromWorker) => {
      if ('id' in message) void answer(message)
      else if (message.type === 'ready') {
        memory = message.memory
        resolve()
      } else {
        const waiter = current
        current = undefined
        if (message.error === undefined) waiter?.resolve(message.result)
        else waiter?.reject(fromPlainError(message.error))
      }
    })
    thread.on('error', error => {
      fail(error)
      reject(error)
    })
    thread.on('exit', () => fail(new Error('a worker thread ended')))
  })
  await ready

  const run = async (message: ToWorker): Promise<WindowResult | undefined> => {
    if (failure !== undefined) throw failure
    return await new Promise((resolve, reject) => {
      current = { resolve, reject }
      say(message)
    })
  }
  return {
    async store(job, readDisk) {
      read = readDisk
      return (await run({ type: 'store', job })) as WindowResult
    },
    async finish() {
      await run({ type: 'finish' })
    },
    async close() {
      await thread.terminate()
    },
  }
}
