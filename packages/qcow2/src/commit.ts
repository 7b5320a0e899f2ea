/** Moves what an overlay has into what it lies over. @module */
import { GranaryError, memoryDisk } from '@granary/core'
import type { AbortOptions, DiskWriter } from '@granary/core'
import { l1EntriesFor } from './header.ts'
import { readLayer } from './layer.ts'
import { openImageWriter } from './open-writer.ts'
import type { WritableFile } from './random-file.ts'
import { dropTables } from './resize.ts'

export interface CommitQcow2Options extends AbortOptions {
  /** Empty the overlay afterwards, as `qemu-img commit` does without -d. @default true */
  readonly empty?: boolean
}

const COPY_BYTES = 1024 * 1024

/**
 * Writes everything the image itself has (data, and zeros that hide the backing file) into `target`, which is its
 * backing disk. Only when the target has flushed is the overlay emptied. Closes `file`, not `target`.
 *
 * @throws GranaryError `GRANARY_SIZE` when the target is smaller; else as `openQcow2Writer`
 */
export const commitQcow2 = async (
  file: WritableFile,
  target: DiskWriter,
  { empty = true, signal }: CommitQcow2Options = {},
): Promise<void> => {
  // Only what is in the image itself is read: what lies below is not needed.
  const { writer, parts } = await openImageWriter(file, { backingDisk: memoryDisk(new Uint8Array()) })
  try {
    const { layer, editor } = writer
    if (target.sizeBytes < layer.sizeBytes)
      throw new GranaryError(
        'GRANARY_SIZE',
        `the backing disk has ${target.sizeBytes} bytes, the overlay ${layer.sizeBytes}`,
        {
          detail: { targetBytes: target.sizeBytes, sizeBytes: layer.sizeBytes },
          hint: 'make the backing disk larger first',
        },
      )
    const buffer = new Uint8Array(COPY_BYTES)
    for await (const runs of layer.map.runs(0, layer.sizeBytes, signal)) {
      for (const { kind, offset, length } of runs) {
        if (kind === 'zero') await target.zero(offset, length, { punch: true, signal })
        if (kind !== 'data' && kind !== 'compressed') continue
        for (let at = offset; at < offset + length; at += COPY_BYTES) {
          const part = buffer.subarray(0, Math.min(COPY_BYTES, offset + length - at))
          await readLayer(layer, at, part, signal)
          await target.write(at, part, { signal })
        }
      }
    }
    await target.flush({ signal })
    if (!empty) return
    await writer.exclusive(async () => {
      await writer.begin()
      await dropTables(writer, 0, l1EntriesFor(layer.sizeBytes, editor.header.clusterBits, editor.header.hasExtendedL2))
    })
    await writer.finish()
  } finally {
    await parts.close()
  }
}
