/** Worker half of `openDecodePool`: reads, opens and verifies blobs, and puts their plain bytes where they belong. @module */
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { GranaryError, fromSystemError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { createKeyedHasher, suiteById } from '@granary/transform'
import { openBlobInto } from '../packs/pack-reader.ts'
import type { BlobSource } from '../packs/pack-reader.ts'
import { toPlainError } from '../writer/messages.ts'
import { END } from './decode-job.ts'
import type { CopyPlace, DecodeJob, SharedTarget } from './decode-job.ts'

const hasher = createKeyedHasher(workerData as Bytes)
const verifier = { digest: (_type: unknown, plain: Bytes): Bytes => hasher.digest(plain) }

/** Memory that is used again and again: fresh memory costs more in page faults than what is done with it. */
const reusable = (): ((length: number) => Bytes) => {
  let memory: Bytes = new Uint8Array()
  return length => {
    if (memory.length < length) memory = new Uint8Array(length)
    return memory.subarray(0, length)
  }
}

const sealedMemory = reusable()
const packedMemory = reusable()
/** For chunks that are not wanted whole. */
const plainMemory = reusable()

const readSealed = ({ path, sealed, from, length, pack }: DecodeJob): Bytes => {
  if (path === undefined) return sealed as Bytes
  const buffer = sealedMemory(length)
  let fileDescriptor: number | undefined
  try {
    fileDescriptor = openSync(path, 'r')
    for (let done = 0; done < length;) {
      const count = readSync(fileDescriptor, buffer, done, length - done, from + done)
      if (count === 0)
        throw new GranaryError('GRANARY_CORRUPT', `${pack.key} is truncated`, { detail: { object: pack.key } })
      done += count
    }
    return buffer
  } catch (error) {
    throw fromSystemError(error, `reading ${pack.key}`)
  } finally {
    if (fileDescriptor !== undefined) closeSync(fileDescriptor)
  }
}

const decode = (job: DecodeJob, { buffer: shared, offset, length }: SharedTarget): void => {
  const target = new Uint8Array(shared, offset, length)
  const sealed = readSealed(job)
  const { key, type, prelude, seal } = job.pack
  const source: BlobSource = { key, type, prelude, sealer: suiteById(seal.suite).open(seal.keys) }
  for (const { ordinal, entry, places } of job.blobs) {
    const at = entry.offset - job.from
    const whole = places.find(({ from, length: count }) => from === 0 && count === entry.plainLength)
    const plain =
      whole === undefined ? plainMemory(entry.plainLength) : target.subarray(whole.to, whole.to + whole.length)
    const bytes = sealed.subarray(at, at + entry.sealedLength)
    const memory = { sealed: bytes, target: plain, scratch: packedMemory(entry.sealedLength) }
    openBlobInto(source, { ordinal, entry }, memory, verifier)
    for (const place of places) if (place !== whole) target.set(partOf(plain, place), place.to)
  }
}

const partOf = (plain: Bytes, { from, length }: CopyPlace): Bytes => plain.subarray(from, from + length)

interface Task {
  readonly id: number
  readonly job: DecodeJob
  readonly target: SharedTarget
}

const queue: Task[] = []
let isRunning = false

/** Native decompressors free their results only between turns of the event loop, so each job is a turn of its own. */
const run = async (): Promise<void> => {
  isRunning = true
  for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
    const { id, job, target } = task
    try {
      decode(job, target)
      parentPort?.postMessage({ id })
    } catch (error) {
      parentPort?.postMessage({ id, error: toPlainError(error) })
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  isRunning = false
}

parentPort?.on('message', (task: Task | typeof END) => {
  if (task === END) {
    parentPort?.close()
    return
  }
  queue.push(task)
  if (!isRunning) void run()
})
