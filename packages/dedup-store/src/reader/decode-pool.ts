/** Threads that decode chunks straight into shared memory: for restore and copy, where the caller's thread only writes. @module */
import { Worker } from 'node:worker_threads'
import { siblingModule } from '@granary/core'
import type { Bytes } from '@granary/core'
import { fromPlainError } from '../writer/messages.ts'
import type { PlainError } from '../writer/messages.ts'
import { END } from './decode-job.ts'
import type { DecodeJob, SharedTarget } from './decode-job.ts'

export interface DecodePool extends AsyncDisposable {
  /** @param target a view on shared memory */
  decode(job: DecodeJob, target: Bytes): Promise<void>
}

interface Lane {
  readonly worker: Worker
  readonly waiting: Map<number, { resolve: () => void; reject: (error: Error) => void }>
}

/** A pool of threads; each takes its jobs one after the other. Memory: 4 MiB a thread, beside what its decompressor takes. */
export const openDecodePool = (chunkIdKey: Bytes, threads: number): DecodePool => {
  const lanes = Array.from({ length: threads }, () => openLane(chunkIdKey))
  let nextId = 0
  return {
    async decode(job, target) {
      const lane = lanes.reduce((least, other) => (other.waiting.size < least.waiting.size ? other : least))
      const place: SharedTarget = {
        buffer: target.buffer as SharedArrayBuffer,
        offset: target.byteOffset,
        length: target.length,
      }
      await new Promise<void>((resolve, reject) => {
        const id = nextId++
        lane.waiting.set(id, { resolve, reject })
        lane.worker.postMessage({ id, job, target: place })
      })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(lanes.map(end))
    },
  }
}

/** Lets a thread finish what it has: a library that it may be loading must not be interrupted. One that died has ended. */
const end = async ({ worker }: Lane): Promise<void> => {
  if (worker.threadId === -1) return
  const exit = new Promise(resolve => worker.once('exit', resolve))
  worker.postMessage(END)
  await exit
}

const openLane = (chunkIdKey: Bytes): Lane => {
  const worker = new Worker(siblingModule(import.meta.url, 'decode.worker'), { workerData: chunkIdKey })
  const waiting: Lane['waiting'] = new Map()
  worker.on('message', ({ id, error }: { id: number; error?: PlainError }) => {
    const waiter = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) waiter?.resolve()
    else waiter?.reject(fromPlainError(error))
  })
  const failAll = (error: Error): void => {
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }
  worker.on('error', failAll)
  worker.on('exit', () => failAll(new Error('a worker thread ended')))
  return { worker, waiting }
}
