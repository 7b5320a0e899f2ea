/** Compact files of Windows 10: compressed in a stream beside the empty content. @see wimlib, src/wof.c and include/wimlib/wof.h @module */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import { corrupt, unsupported } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { decompressLzx } from '../../format/lzx.ts'
import { decompressXpress } from '../../format/xpress.ts'

interface Algorithm {
  readonly chunkBytes: number
  readonly decompress: (source: Bytes, length: number, where: string) => Bytes
}

/** By number. */
const ALGORITHMS: Readonly<Record<number, Algorithm>> = {
  0: { chunkBytes: 4096, decompress: decompressXpress },
  1: { chunkBytes: 32_768, decompress: decompressLzx },
  2: { chunkBytes: 8192, decompress: decompressXpress },
  3: { chunkBytes: 16_384, decompress: decompressXpress },
}

/** A table of where each chunk but the last ends, then the chunks; one that didn't get shorter stands as it is. */
export const compactContent = (packed: DiskReader, sizeBytes: number, algorithm: number, where: string): DiskReader => {
  const found = ALGORITHMS[algorithm]
  if (found === undefined) throw unsupported(where, `is compressed with algorithm ${algorithm}`)
  const { chunkBytes, decompress } = found
  const chunks = Math.ceil(sizeBytes / chunkBytes)
  const entryBytes = sizeBytes >= 2 ** 32 ? 8 : 4
  const tableBytes = Math.max(chunks - 1, 0) * entryBytes
  const endOf = async (chunk: number, options: AbortOptions): Promise<number> => {
    if (chunk < 0) return 0
    if (chunk === chunks - 1) return packed.sizeBytes - tableBytes
    const entry = new Uint8Array(entryBytes)
    await packed.read(chunk * entryBytes, entry, options)
    const fields = new Fields(entry, where)
    return entryBytes === 8 ? fields.u64(0) : fields.u32(0)
  }
  const make = async (chunk: number, options: AbortOptions): Promise<Bytes> => {
    const start = await endOf(chunk - 1, options)
    const length = (await endOf(chunk, options)) - start
    const plainBytes = Math.min(chunkBytes, sizeBytes - chunk * chunkBytes)
    if (length <= 0 || length > plainBytes || tableBytes + start + length > packed.sizeBytes)
      throw corrupt(`${where}, chunk ${chunk}`, `1 to ${plainBytes} bytes`, length)
    const bytes = new Uint8Array(length)
    await packed.read(tableBytes + start, bytes, options)
    return length === plainBytes ? bytes : decompress(bytes, plainBytes, `${where}, chunk ${chunk}`)
  }
  return mappedDisk({
    sizeBytes,
    blockBytes: 1,
    where,
    locate(offset) {
      const chunk = Math.floor(offset / chunkBytes)
      const skip = offset - chunk * chunkBytes
      const length = Math.min(chunkBytes - skip, sizeBytes - offset)
      return { kind: 'made', length, make: async options => (await make(chunk, options)).subarray(skip) }
    },
  })
}
