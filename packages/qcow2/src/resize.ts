/** Makes the disk in an image larger or smaller. @module */
import { GranaryError } from '@granary/core'
import { l2Offset } from './cluster-map.ts'
import { unsupported, viewOf } from './format.ts'
import { l1EntriesFor } from './header.ts'
import { openImageWriter } from './open-writer.ts'
import type { OpenQcow2WriterOptions } from './open-writer.ts'
import type { WritableFile } from './random-file.ts'
import { ImageWriter } from './writer.ts'
import type { WriterParts } from './writer.ts'

export interface ResizeQcow2Options extends OpenQcow2WriterOptions {
  /** Cutting off the end of a disk loses what is there: it must be meant. @default false */
  readonly shrink?: boolean
}

/**
 * Sets the virtual size. What is added reads as zeros, even where a larger backing file has data.
 * Internal snapshots keep their size. Closes the file.
 *
 * @param sizeBytes rounded up to 512
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the disk would become smaller without `shrink`;
 *   `GRANARY_UNSUPPORTED` when it has bitmaps that cannot be made to fit; else as `openQcow2Writer`
 */
export const resizeQcow2 = async (
  file: WritableFile,
  sizeBytes: number,
  { shrink = false, ...options }: ResizeQcow2Options = {},
): Promise<void> => {
  const { writer, parts } = await openImageWriter(file, options)
  try {
    const wanted = Math.ceil(sizeBytes / 512) * 512
    const { header } = parts.editor
    if (!Number.isSafeInteger(wanted) || wanted < 0)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', `qcow2: a disk of ${sizeBytes} bytes`)
    if (wanted < header.sizeBytes && !shrink)
      throw new GranaryError(
        'GRANARY_INVALID_ARGUMENT',
        `qcow2: ${wanted} bytes is less than the ${header.sizeBytes} of the disk`,
        {
          detail: { sizeBytes: header.sizeBytes, wanted },
          hint: 'allow it to shrink, if losing the end of the disk is meant',
        },
      )
    if (parts.bitmaps.hasFrozen) throw unsupported('the image has bitmaps that do not follow the disk')
    if (wanted !== header.sizeBytes) {
      await writer.exclusive(() => writer.begin())
      if (wanted > header.sizeBytes) await grow(parts, wanted)
      else await cut(writer, parts, wanted)
      parts.bitmaps.resize(wanted)
      await writer.finish()
    }
  } finally {
    await parts.close()
  }
}

const grow = async (parts: WriterParts, sizeBytes: number): Promise<void> => {
  const { editor, backing } = parts
  const { header } = editor
  await editor.growL1(l1EntriesFor(sizeBytes, header.clusterBits, header.hasExtendedL2))
  // The last cluster may hold leftovers behind the old end, and a larger backing file would show through.
  const larger = new ImageWriter(parts, sizeBytes)
  const clusterEnd = Math.ceil(header.sizeBytes / header.clusterBytes) * header.clusterBytes
  const end = Math.min(sizeBytes, Math.max(clusterEnd, backing?.sizeBytes ?? 0))
  await larger.zero(header.sizeBytes, end - header.sizeBytes, { punch: true })
  await larger.flush()
  await editor.changeHeader({ sizeBytes })
}

const cut = async (writer: ImageWriter, { editor }: WriterParts, sizeBytes: number): Promise<void> => {
  const { clusterBytes, entryBytes } = editor.format
  const old = editor.header.sizeBytes
  await editor.changeHeader({ sizeBytes })
  const tableSpan = (clusterBytes / entryBytes) * clusterBytes
  const clusterEnd = Math.ceil(sizeBytes / clusterBytes) * clusterBytes
  const firstTable = Math.ceil(sizeBytes / tableSpan)
  const partEnd = Math.min(old, firstTable * tableSpan)
  const hasTable = editor.tables.nextAllocated(firstTable - 1) === firstTable - 1
  if (partEnd > clusterEnd && hasTable) await writer.drop(clusterEnd, Math.ceil(partEnd / clusterBytes) * clusterBytes)
  const lastTable = l1EntriesFor(old, editor.header.clusterBits, editor.header.hasExtendedL2)
  await writer.exclusive(() => dropTables(writer, firstTable, lastTable))
}

/** Gives back the L2 tables of L1 entries `[from, to)` and all they refer to. */
export const dropTables = async (writer: ImageWriter, from: number, to: number): Promise<void> => {
  const { editor } = writer
  for (let index = editor.tables.nextAllocated(from); index < to; index = editor.tables.nextAllocated(index + 1)) {
    await writer.makeRoom()
    const table = await editor.tables.get(index)
    if (table === undefined) continue
    await writer.clusters.releaseAll(table)
    await editor.allocator.release(l2Offset(editor.format, viewOf(editor.tables.l1), index))
    editor.tables.setL1(index, 0)
  }
}
