/** Every image of `../shared/qcow2`: content and map as QEMU sees them, damage and hostility refused. */
import t from 'tap'
import type { Test } from 'tap'
import { isGranaryError } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { filesInFolder, mapLikeQemuImg, openQcow2File } from '../src/index.ts'
import type { OpenQcow2Options, QemuMapEntry } from '../src/index.ts'
import { collect, inFolderOf, noCases, sha256Of, unpackCases } from './case-folder.ts'
import type { Case, CaseFolder } from './case-folder.ts'

/** QEMU reads these as zeros without a word: damage, unless leniency is asked for. */
const SILENT_ZEROS = new Set(['bad-truncated', 'bad-l1-eof', 'bad-l2-eof', 'bad-header-only'])

/** Only a caller who resolves the reference can read these: what they name is refused by the folder rule. */
const BY_CALLBACK: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'chain-json-backing': { backing: 'base.raw' },
}

const openCase = async (folder: CaseFolder, one: Case, options: OpenQcow2Options = {}) =>
  await openQcow2File(folder.path(one.case, one.open), { resolve: filesInFolder([folder.path(one.case)]), ...options })

const reads = async (t: Test, folder: CaseFolder, one: Case, options: OpenQcow2Options = {}): Promise<void> => {
  const disk = await openCase(folder, one, options)
  t.equal(disk.sizeBytes, one.virtual_size)
  t.equal(await sha256Of(disk), one.guest_sha256)
  const wanted = folder.map(one.case)
  if (wanted !== null) t.strictSame(await collect(mapLikeQemuImg(disk.extents())), withoutFileHoles(wanted))
  await disk[Symbol.asyncDispose]()
}

/** Opens and reads all; whatever goes wrong must be one of our errors, and soon. */
const refused = async (t: Test, folder: CaseFolder, one: Case): Promise<void> => {
  const before = process.memoryUsage().rss
  const start = performance.now()
  const error: unknown = await openCase(folder, one).then(readAll, (error: unknown) => error)
  t.ok(isGranaryError(error), String(error))
  t.ok(performance.now() - start < 2000, 'within 2 s')
  t.ok(process.memoryUsage().rss - before < 256 * 1024 * 1024, 'within 256 MiB')
}

const readAll = async (disk: DiskReader): Promise<unknown> => {
  try {
    await sha256Of(disk)
    return undefined
  } catch (error) {
    return error
  } finally {
    await disk[Symbol.asyncDispose]()
  }
}

/**
 * QEMU looks for holes in the image file itself and calls them `zero` and `data`; they got lost when the images were packed.
 */
const withoutFileHoles = (map: readonly QemuMapEntry[]): QemuMapEntry[] => {
  const joined: QemuMapEntry[] = []
  for (const entry of map.map(entry => (entry.data ? { ...entry, zero: false } : entry))) {
    const last = joined.at(-1)
    const touches = last?.data === true && entry.data && last.depth === entry.depth
    if (touches && (last.offset ?? NaN) + last.length === entry.offset)
      joined[joined.length - 1] = { ...last, length: last.length + entry.length }
    else joined.push(entry)
  }
  return joined
}

t.test('images with known content', { skip: noCases }, async t => {
  const folder = unpackCases()
  t.teardown(() => folder.remove())
  for (const one of folder.cases) {
    if (one.guest_sha256 === null) {
      if (one.virtual_size === null || one.err !== null)
        await t.test(`${one.case}: refused`, t => refused(t, folder, one))
    } else if (SILENT_ZEROS.has(one.case)) {
      await t.test(`${one.case}: damage by default`, t => refused(t, folder, one))
      await t.test(`${one.case}: zeros when lenient`, t => reads(t, folder, one, { lenient: true }))
    } else if (one.case in BY_CALLBACK) {
      await t.test(`${one.case}: refused by the folder rule`, t => refused(t, folder, one))
      const resolve = inFolderOf(folder.path(one.case, one.open), BY_CALLBACK[one.case] ?? {})
      await t.test(`${one.case}: read when the caller resolves it`, t => reads(t, folder, one, { resolve }))
    } else await t.test(`${one.case}: read`, t => reads(t, folder, one))
  }
  t.ok(folder.cases.length > 100)
})
