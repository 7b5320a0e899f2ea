/** A worker that compresses and decompresses clusters in shared memory. @module */
import { parentPort, workerData } from 'node:worker_threads'
import type { Bytes } from '@granary/core'
import { END } from './codec-job.ts'
import type { CodecItem, CodecJob, CodecReply, CodecSlot } from './codec-job.ts'
import { compressorFor } from './compress.ts'
import { decompressorFor } from './decompress.ts'

const slots = workerData as readonly CodecSlot[]

type Work = (item: CodecItem, input: Bytes, output: Bytes) => number

const prepare = ({ compression, level }: CodecJob): Work => {
  if (level === undefined) {
    const decompress = decompressorFor(compression)
    return (_item, input, output) => {
      decompress(input, output)
      return output.length
    }
  }
  const compress = compressorFor(compression, level)
  return (_item, input, output) => {
    const bytes = compress(input)
    if (bytes === undefined) return 0
    output.set(bytes)
    return bytes.length
  }
}

const run = (job: CodecJob): CodecReply => {
  try {
    const { input, output: ownOutput } = slots[job.slot] as CodecSlot
    const output = job.output ?? ownOutput
    const work = prepare(job)
    const lengths = job.items.map(item =>
      work(
        item,
        new Uint8Array(input, item.inputAt, item.inputBytes),
        new Uint8Array(output, item.outputAt, item.outputBytes),
      ),
    )
    return { slot: job.slot, lengths }
  } catch (error) {
    return { slot: job.slot, error: (error as Error).message }
  }
}

parentPort?.on('message', (job: CodecJob | typeof END) => {
  if (job === END) parentPort?.close()
  else parentPort?.postMessage(run(job))
})
parentPort?.postMessage('ready' satisfies CodecReply)
