/** Worker half of `threadedWindowPool`: runs a `WindowWorker` and asks the main thread for what it can't do alone. @module */
import { parentPort, workerData } from 'node:worker_threads'
import type { Bytes } from '@granary/core'
import { fromPlainError, toPlainError } from './messages.ts'
import type { FromWorker, Place, ToWorker } from './messages.ts'
import type { WindowHost, WindowSetup } from './window-job.ts'
import { WindowWorker } from './window-worker.ts'

const port = parentPort
if (port === null) throw new Error('this module runs on a worker thread')

type Question = FromWorker extends infer Message
  ? Message extends { id: number }
    ? Omit<Message, 'id'>
    : never
  : never

const waiting = new Map<number, { resolve: (value: Bytes | undefined) => void; reject: (error: Error) => void }>()
let nextId = 0
const say = (message: FromWorker): void => port.postMessage(message)
const ask = async (question: Question): Promise<Bytes | undefined> =>
  await new Promise((resolve, reject) => {
    const id = nextId++
    waiting.set(id, { resolve, reject })
    say({ ...question, id } as FromWorker)
  })
const placeOf = (bytes: Bytes): Place => ({ pointer: bytes.byteOffset, length: bytes.length })

const host: WindowHost = {
  async read(offset, target) {
    await ask({ type: 'read', offset, target: placeOf(target) })
  },
  claim: async ids => (await ask({ type: 'claim', ids })) as Bytes,
  async emit({ number, bytes, end }) {
    await ask({ type: 'emit', number, bytes: placeOf(bytes), ...(end === undefined ? {} : { end }) })
  },
}

const worker = new WindowWorker(workerData as WindowSetup, host)

const run = async (message: Exclude<ToWorker, { type: 'reply' }>): Promise<void> => {
  try {
    if (message.type === 'store') say({ type: 'done', result: await worker.store(message.job) })
    else {
      await worker.finish()
      say({ type: 'done' })
    }
  } catch (error) {
    say({ type: 'done', error: toPlainError(error) })
  }
}

port.on('message', (message: ToWorker) => {
  if (message.type !== 'reply') {
    void run(message)
    return
  }
  const waiter = waiting.get(message.id)
  waiting.delete(message.id)
  if (message.error === undefined) waiter?.resolve(message.value)
  else waiter?.reject(fromPlainError(message.error))
})
say({ type: 'ready', memory: worker.arena.memory.buffer })
