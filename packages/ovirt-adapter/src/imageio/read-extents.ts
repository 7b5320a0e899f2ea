/** What an image knows of itself: zeros, holes, and what changed. CONTRACT §6.5 @module */
import { overlayExtents } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { ExtentList } from './extent-list.ts'
import { ExtentParser } from './extent-parser.ts'
import type { ExtentRow } from './extent-parser.ts'
import { protocolError } from './image-errors.ts'
import type { ImageLink } from './image-link.ts'

export interface ReadExtentsOptions extends AbortOptions {
  readonly sizeBytes: number
  /** Tell what changed since the checkpoint. */
  readonly isDirty: boolean
}

/**
 * Lists the extents of a whole image. The server counts through all of it before it answers: that may take minutes.
 *
 * @throws GranaryError `GRANARY_UNSUPPORTED` when the ticket cannot tell what changed; `GRANARY_PROTOCOL` when a list has gaps or ends early
 */
export const readExtents = async (
  link: ImageLink,
  { sizeBytes, isDirty, signal }: ReadExtentsOptions,
): Promise<ExtentList> => {
  if (!isDirty)
    return link.features.hasExtents ? await readList(link, 'zero', { sizeBytes, signal }) : allData(sizeBytes)
  let isZeroKnown = true
  const dirty = await readList(link, 'dirty', {
    sizeBytes,
    signal,
    onRow: row => {
      if (row.dirty === undefined) throw protocolError('an extent of the dirty context does not say `dirty`', {})
      isZeroKnown &&= row.zero !== undefined
    },
  })
  // Before 2.2 the dirty context told nothing of zeros.
  return isZeroKnown ? dirty : await joined(await readList(link, 'zero', { sizeBytes, signal }), dirty, sizeBytes)
}

const allData = (sizeBytes: number): ExtentList => {
  const list = new ExtentList()
  if (sizeBytes > 0) list.add(sizeBytes, 'data', undefined)
  return list
}

const joined = async (zero: ExtentList, dirty: ExtentList, sizeBytes: number): Promise<ExtentList> => {
  const whole = { offset: 0, length: sizeBytes }
  const both = new ExtentList()
  for await (const { extent, over } of overlayExtents(zero.in(whole), dirty.in(whole)))
    both.add(extent.length, extent.kind, over?.dirty)
  return both
}

interface ListOptions extends AbortOptions {
  readonly sizeBytes: number
  readonly onRow?: (row: ExtentRow) => void
}

const readList = async (
  link: ImageLink,
  context: 'zero' | 'dirty',
  { sizeBytes, onRow, signal }: ListOptions,
): Promise<ExtentList> =>
  await link.persist(
    async () => {
      const list = new ExtentList()
      const parser = new ExtentParser(row => {
        onRow?.(row)
        addRow(list, row, sizeBytes)
      })
      await link.once({
        method: 'GET',
        suffix: `/extents?context=${context}`,
        what: `listing ${context} extents`,
        timeoutMs: link.settings.longTimeoutMs,
        sink: parser,
        signal,
      })
      parser.end()
      if (list.endBytes !== sizeBytes)
        throw protocolError(`extents end at ${list.endBytes}, the image at ${sizeBytes}`, {
          endBytes: list.endBytes,
          sizeBytes,
        })
      return list
    },
    { signal },
  )

const addRow = (list: ExtentList, { start, length, zero, hole, dirty }: ExtentRow, sizeBytes: number): void => {
  if (start !== list.endBytes || length <= 0 || start + length > sizeBytes)
    throw protocolError(`an extent of ${start}+${length} behind one that ends at ${list.endBytes}`, {
      start,
      length,
      expected: list.endBytes,
      sizeBytes,
    })
  list.add(length, zero === true ? (hole ? 'hole' : 'zero') : 'data', dirty)
}
