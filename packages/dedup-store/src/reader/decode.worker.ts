/** Worker half of `openDecodePool`: reads, opens and verifies blobs, and puts their plain bytes where they belong. @module */
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { GranaryError, fromSystemError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { createKeyedHasher, suiteById } from '@granary/transform'
import { openBlob } from '../packs/pack-reader.ts'
import type { BlobSource } from '../packs/pack-reader.ts'
import { toPlainError } from '../writer/messages.ts'
import type { DecodeJob, SharedTarget } from './decode-job.ts'

const hasher = createKeyedHasher(workerData as Bytes)
const verifier = { digest: (_type: unknown, plain: Bytes): Bytes => hasher.digest(plain) }

/** One buffer for all reads: a fresh one a job costs more in page faults than the read. */
let buffer = new Uint8Array(0)

const readSealed = ({ path, sealed, from, length, pack }: DecodeJob): Bytes => {
  if (path === undefined) return sealed as Bytes
  if (buffer.length < length) buffer = new Uint8Array(length)
  let fileDescriptor: number | undefined
  try {
    fileDescriptor = openSync(path, 'r')
    for (let done = 0; done < length;) {
      const count = readSync(fileDescriptor, buffer, done, length - done, from + done)
      if (count === 0)
        throw new GranaryError('GRANARY_CORRUPT', `${pack.key} is truncated`, { detail: { object: pack.key } })
      done += count
    }
    return buffer.subarray(0, length)
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
    const plain = openBlob(source, { ordinal, entry }, sealed.subarray(at, at + entry.sealedLength), verifier)
    for (const { from, length: count, to } of places) target.set(plain.subarray(from, from + count), to)
  }
}

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

parentPort?.on('message', (task: Task) => {
  queue.push(task)
  if (!isRunning) void run()
})
