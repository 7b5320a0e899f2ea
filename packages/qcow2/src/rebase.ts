/** Puts an image over another backing file. @module */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { readLayer } from './layer.ts'
import { openImageWriter } from './open-writer.ts'
import type { OpenQcow2WriterOptions } from './open-writer.ts'
import type { WritableFile } from './random-file.ts'
import type { ImageWriter } from './writer.ts'

export interface RebaseQcow2Options extends OpenQcow2WriterOptions, AbortOptions {
  /** What the image names from now on; undefined: nothing, it stands alone. */
  readonly backing?: { readonly name: string; readonly format: 'raw' | 'qcow2' } | undefined
  /** The disk of that name. Needed for a safe rebase onto it. The caller closes it. */
  readonly newBacking?: DiskReader
  /** Change the name and nothing else: right when the file was only moved, wrong when its content differs. @default false */
  readonly unsafe?: boolean
}

/**
 * Changes the backing file. What the disk shows stays the same: where the old and the new backing differ, the image
 * takes the old content in. Closes the file.
 *
 * @throws GranaryError as `openQcow2Writer`
 */
export const rebaseQcow2 = async (file: WritableFile, options: RebaseQcow2Options): Promise<void> => {
  const { backing, newBacking, unsafe = false, signal, ...opening } = options
  // Who only changes a name need not open what it stood for.
  const nobody = { resolve: async () => ({ disk: nothing }) }
  const { writer, parts } = await openImageWriter(file, unsafe ? { ...opening, ...nobody } : opening)
  try {
    if (!unsafe) {
      for (const source of [writer.layer.backing, newBacking])
        if (source !== undefined) await keepContent(writer, source, newBacking, signal)
    }
    await writer.exclusive(() => writer.begin())
    await writer.flush()
    await writer.exclusive(() =>
      parts.editor.changeHeader({ backingName: backing?.name, backingFormat: backing?.format }),
    )
    await writer.finish()
  } finally {
    await parts.close()
  }
}

const nothing: DiskReader = {
  sizeBytes: 0,
  blockBytes: 512,
  read: async () => undefined,
  async *extents() {},
  [Symbol.asyncDispose]: async () => undefined,
}

/** Wherever `source` has data that shows through, or would, the image gets what it shows now if the new backing differs. */
const keepContent = async (
  writer: ImageWriter,
  source: DiskReader,
  newBacking: DiskReader | undefined,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const { layer } = writer
  const { clusterBytes } = layer
  const end = Math.min(source.sizeBytes, layer.sizeBytes)
  let done = 0
  for await (const extent of source.extents({ offset: 0, length: end })) {
    if (extent.kind !== 'data') continue
    const from = Math.max(done, extent.offset - (extent.offset % clusterBytes))
    const to = Math.min(layer.sizeBytes, Math.ceil((extent.offset + extent.length) / clusterBytes) * clusterBytes)
    done = Math.max(done, to)
    if (from >= to) continue
    for await (const runs of layer.map.runs(from, to, signal))
      for (const { kind, offset, length } of runs)
        if (kind === 'unallocated') await keepRun(writer, offset, offset + length, newBacking, signal)
  }
}

const keepRun = async (
  writer: ImageWriter,
  offset: number,
  end: number,
  newBacking: DiskReader | undefined,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const { layer } = writer
  const { clusterBytes } = layer
  const shown = new Uint8Array(clusterBytes)
  const coming = new Uint8Array(clusterBytes)
  for (let at = offset; at < end;) {
    const next = Math.min(end, at - (at % clusterBytes) + clusterBytes)
    const now = shown.subarray(0, next - at)
    await readLayer(layer, at, now, signal)
    await readPadded(newBacking, at, coming.subarray(0, next - at))
    if (Buffer.compare(now, coming.subarray(0, next - at)) !== 0) {
      const isWhole = at % clusterBytes === 0 && (next % clusterBytes === 0 || next === layer.sizeBytes)
      if (isWhole && now.every(byte => byte === 0)) await writer.hideBacking(at)
      else await writer.write(at, now, { signal })
    }
    at = next
  }
}

const readPadded = async (disk: DiskReader | undefined, offset: number, target: Bytes): Promise<void> => {
  const shown = disk === undefined ? 0 : Math.max(0, Math.min(target.length, disk.sizeBytes - offset))
  target.fill(0, shown)
  if (shown > 0) await disk?.read(offset, target.subarray(0, shown))
}
