/** Every image of `../shared/qcow2`: content and map as QEMU sees them, damage and hostility refused. */
import t from 'tap'
import type { Test } from 'tap'
import { isGranaryError } from '@granary/core'
import type { DiskReader } from '@granary/core'
import {
  checkQcow2,
  filesInFolder,
  mapLikeQemuImg,
  openFileToRead,
  openQcow2File,
  readQcow2Info,
} from '../src/index.ts'
import type { OpenQcow2Options, QemuMapEntry } from '../src/index.ts'
import { collect, inFolderOf, noCases, sha256Of, unpackCases, unpackFixtures } from './case-folder.ts'
import type { Case, CaseFolder } from './case-folder.ts'

/** QEMU reads these as zeros without a word: damage, unless leniency is asked for. */
const SILENT_ZEROS = new Set(['bad-truncated', 'bad-l1-eof', 'bad-l2-eof', 'bad-header-only'])

/** Only a caller who resolves the reference can read these: what they name is refused by the folder rule. */
const BY_CALLBACK: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'chain-json-backing': { backing: 'base.raw' },
}

const openCase = async (folder: CaseFolder, one: Case, options: OpenQcow2Options = {}) =>
  await openQcow2File(folder.path(one.case, one.open), { resolve: filesInFolder([folder.path(one.case)]), ...options })

/** What `qemu-img check` ends with: 1 cannot be opened, 2 corrupt, 3 leaks. Two it opens no better than we do, for other reasons. */
const agreesOnCheck = async (t: Test, folder: CaseFolder, one: Case): Promise<void> => {
  const file = await openFileToRead(folder.path(one.case, one.open))
  const found = await checkQcow2(file).then(
    ({ corruptions, leaks }) => (corruptions > 0 ? 2 : leaks > 0 ? 3 : 0),
    (error: unknown) => (isGranaryError(error) ? 1 : String(error)),
  )
  t.equal(found, one.check_exit, `check of ${one.case}`)
  await file[Symbol.asyncDispose]?.()
}

/** QEMU needs a key, or the backing file, before it looks at the structure. */
const NOT_COMPARED = new Set(['bad-crypt1', 'chain-missing'])

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
  const start = process.cpuUsage()
  const error: unknown = await openCase(folder, one).then(readAll, (error: unknown) => error)
  t.ok(isGranaryError(error), String(error))
  // Of all threads: how long a busy machine makes us wait says nothing. A hang runs into the file's timeout.
  const { user, system } = process.cpuUsage(start)
  t.ok(user + system < 2_000_000, `within 2 s of CPU time: ${user + system} us`)
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

const readsSnapshots = async (t: Test, folder: CaseFolder, name: string): Promise<void> => {
  const wanted = folder.json<{ name: string; size: number; sha256: string }[]>(name, 'snapshots.json')
  const path = folder.path(name, 'i.qcow2')
  const disk = await openQcow2File(path)
  const listed = await disk.snapshots()
  t.strictSame(
    listed.map(snapshot => snapshot.name),
    wanted.map(snapshot => snapshot.name),
  )
  for (const { name, sha256 } of wanted) {
    const inside = await disk.openSnapshot(name)
    const alone = await openQcow2File(path, { snapshot: name })
    t.equal(inside.sizeBytes, listed.find(snapshot => snapshot.name === name)?.sizeBytes, 'its own size')
    // qemu-img shows a snapshot in the size of the active disk.
    for (const snapshot of [inside, alone]) t.equal(await sha256Of(snapshot, disk.sizeBytes), sha256, name)
    await inside[Symbol.asyncDispose]()
    await alone[Symbol.asyncDispose]()
  }
  await t.rejects(disk.openSnapshot('nobody'), { code: 'GRANARY_NOT_FOUND' })
  await disk[Symbol.asyncDispose]()
}

const readsBitmaps = async (t: Test, folder: CaseFolder, name: string): Promise<void> => {
  const wanted = folder.json<{ name: string; extents: { offset: number; length: number; type: number }[] }[]>(
    name,
    'bitmaps.json',
  )
  for (const { name: bitmap, extents } of wanted) {
    const disk = await openQcow2File(folder.path(name, 'i.qcow2'), { bitmap })
    t.ok((await disk.bitmaps()).some(({ name }) => name === bitmap))
    const ranges = extents.map(({ offset, length, type }) => ({ offset, length, dirty: type === 1 }))
    t.strictSame(await collect(disk.dirtyRanges(bitmap)), ranges, bitmap)
    const marked = await collect(disk.extents({ offset: 1000, length: disk.sizeBytes - 3000 }))
    const isRight = marked.every(({ offset, length, dirty }) =>
      ranges.some(
        range => range.dirty === dirty && range.offset <= offset && offset + length <= range.offset + range.length,
      ),
    )
    t.ok(isRight && marked[0]?.offset === 1000, `extents marked by ${bitmap}`)
    await disk[Symbol.asyncDispose]()
  }
}

const allOf = async (t: Test, folder: CaseFolder): Promise<void> => {
  t.teardown(() => folder.remove())
  for (const one of folder.cases) {
    if (one.check_exit !== null && !NOT_COMPARED.has(one.case)) await agreesOnCheck(t, folder, one)
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
  const has = (name: string): boolean => folder.cases.some(one => one.case === name)

  for (const name of ['snapshots', 'snapshots-resized'].filter(has))
    await t.test(`${name}: as disks`, t => readsSnapshots(t, folder, name))
  for (const name of ['bitmaps', 'bitmaps-512']) await t.test(`${name}: as extents`, t => readsBitmaps(t, folder, name))

  await t.test('bitmap-inuse: listed, not used', async t => {
    const path = folder.path('bitmap-inuse', 'i.qcow2')
    const disk = await openQcow2File(path)
    const [bitmap] = await disk.bitmaps()
    t.equal(bitmap?.isInUse, true)
    await t.rejects(collect(disk.dirtyRanges(bitmap?.name ?? '')), { code: 'GRANARY_CORRUPT' })
    await disk[Symbol.asyncDispose]()
    await t.rejects(openQcow2File(path, { bitmap: bitmap?.name ?? '' }), { code: 'GRANARY_CORRUPT' })
  })

  await t.test('huge-sparse: mapped at once', async t => {
    const disk = await openQcow2File(folder.path('huge-sparse', 'i.qcow2'))
    const start = performance.now()
    t.strictSame(await collect(mapLikeQemuImg(disk.extents())), folder.map('huge-sparse'))
    t.comment(`8 TiB mapped in ${(performance.now() - start).toFixed(1)} ms`)
    await disk[Symbol.asyncDispose]()
  })

  if (has('luks'))
    await t.test('luks: described, not read', async t => {
      const path = folder.path('luks', 'i.qcow2')
      const file = await openFileToRead(path)
      t.equal((await readQcow2Info(file)).encryption, 'luks')
      await file[Symbol.asyncDispose]?.()
      await t.rejects(openQcow2File(path), { code: 'GRANARY_UNSUPPORTED', detail: { encryption: 'luks' } })
    })
}

t.test('the smallest images with known content', async t => await allOf(t, unpackFixtures()))
t.test('all images with known content', { skip: noCases }, async t => {
  const folder = unpackCases()
  await allOf(t, folder)
  t.ok(folder.cases.length > 100)
})
