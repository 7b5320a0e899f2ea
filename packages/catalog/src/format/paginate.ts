/** Cuts a stream of rows into pages where the content says so: a change moves no page but its own. @module */
import { bytesOfName } from '@granary/guestfs'
import { MAX_PAGE_ROWS } from './page.ts'
import type { CatalogRow } from './row.ts'

const MIN_PAGE_ROWS = 256

/** A row ends its page with a chance of one in this many. */
const AVERAGE_PAGE_ROWS = 1024

/** Rows with long paths make a page long before they are many. */
const MAX_PAGE_TEXT_BYTES = 4 * 1024 * 1024

export async function* paginate(
  rows: AsyncIterable<CatalogRow> | Iterable<CatalogRow>,
): AsyncGenerator<readonly CatalogRow[], void, undefined> {
  let page: CatalogRow[] = []
  let textBytes = 0
  for await (const row of rows) {
    page.push(row)
    textBytes += bytesOfName(row.directory).length + bytesOfName(row.name).length
    const isFull = page.length >= MAX_PAGE_ROWS || textBytes >= MAX_PAGE_TEXT_BYTES
    if (!isFull && (page.length < MIN_PAGE_ROWS || !endsPage(row))) continue
    yield page
    page = []
    textBytes = 0
  }
  if (page.length > 0) yield page
}

/** FNV-1a, 32 bits, over the name: it is part of the format only in so far as two catalogs share more when it stays. */
const endsPage = ({ name, directory }: CatalogRow): boolean => {
  let hash = 0x811c9dc5
  for (const bytes of [bytesOfName(directory), bytesOfName(name)])
    for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  return (hash >>> 0) % AVERAGE_PAGE_ROWS === 0
}
