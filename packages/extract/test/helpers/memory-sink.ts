/** An archive in memory. @module */
import type { TarSink } from '../../src/index.ts'

export interface MemorySink extends TarSink {
  readonly bytes: Buffer
}

/** @param canTruncate as a file, else as a pipe */
export const memorySink = (canTruncate = true): MemorySink => {
  let bytes = Buffer.alloc(0)
  const parts: Buffer[] = []
  const join = (): Buffer => {
    bytes = Buffer.concat([bytes, ...parts.splice(0)])
    return bytes
  }
  let position = 0
  return {
    get bytes() {
      return join()
    },
    get position() {
      return position
    },
    async write(part) {
      parts.push(Buffer.from(part))
      position += part.length
    },
    ...(canTruncate
      ? {
          async truncate(wanted: number) {
            bytes = Buffer.from(join().subarray(0, wanted))
            position = wanted
          },
        }
      : {}),
  }
}
