/** resize, rebase, commit, measure, bitmaps, preallocation and check: on real files, judged by qemu-img. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { memoryDisk } from '@granary/core'
import { seededBytes, seededRandom } from '@granary/testing'
import {
  checkQcow2,
  commitQcow2,
  createFile,
  createQcow2,
  filesInFolder,
  measureQcow2,
  memoryFile,
  openFileToRead,
  openFileToWrite,
  openQcow2File,
  openQcow2Writer,
  rebaseQcow2,
  repairQcow2,
  resizeQcow2,
} from '../src/index.ts'
import type { CreateQcow2Options } from '../src/index.ts'
import { collect } from './case-folder.ts'
import { noQemu, qemuCheck, qemuImg } from './peer.ts'

t.setTimeout(600_000)
const folder = mkdtempSync(join(tmpdir(), 'granary-qcow2-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string): string => join(folder, name)

const make = async (name: string, options: CreateQcow2Options): Promise<string> => {
  rmSync(at(name), { force: true })
  const file = await createFile(at(name))
  await createQcow2(file, options)
  await file[Symbol.asyncDispose]?.()
  return at(name)
}

const own = { resolve: filesInFolder([folder]) }

const write = async (
  path: string,
  pieces: readonly (readonly [offset: number, bytes: Uint8Array])[],
): Promise<void> => {
  const disk = await openQcow2Writer(await openFileToWrite(path), { ...own, location: path })
  for (const [offset, bytes] of pieces) await disk.write(offset, bytes)
  await disk[Symbol.asyncDispose]()
}

const contentOf = async (path: string): Promise<Uint8Array> => {
  const disk = await openQcow2File(path, own)
  const bytes = new Uint8Array(disk.sizeBytes)
  await disk.read(0, bytes)
  await disk[Symbol.asyncDispose]()
  return bytes
}

const judge = async (t: Test, path: string, wanted: Uint8Array, message: string): Promise<void> => {
  t.equal(Buffer.compare(await contentOf(path), wanted), 0, `${message}: content`)
  const file = await openFileToRead(path)
  const { corruptions, leaks, problems } = await checkQcow2(file)
  await file[Symbol.asyncDispose]?.()
  t.strictSame({ corruptions, leaks, problems }, { corruptions: 0, leaks: 0, problems: [] }, `${message}: our check`)
  if (noQemu !== false) return
  writeFileSync(at('wanted.raw'), wanted)
  t.strictSame(qemuCheck(path), { errors: 0, leaks: 0 }, `${message}: qemu-img check`)
  t.match(qemuImg('compare', '-f', 'qcow2', '-F', 'raw', path, at('wanted.raw')), /identical/, `${message}: compare`)
}

const KIB = 1024
const padded = (bytes: Uint8Array, length: number): Uint8Array => {
  const result = new Uint8Array(length)
  result.set(bytes.subarray(0, length))
  return result
}

t.test('resize', async t => {
  writeFileSync(at('large.raw'), seededBytes(900 * KIB, 1))
  for (const [name, options] of Object.entries({
    alone: { clusterBytes: 4096 },
    small: { clusterBytes: 512 },
    overlay: { clusterBytes: 16_384, extendedL2: true, backing: { name: 'large.raw', format: 'raw' as const } },
  })) {
    const path = await make('image.qcow2', { sizeBytes: 300 * KIB + 512, ...options })
    await write(path, [[1000, seededBytes(290_000, 2)]])
    let wanted = await contentOf(path)
    for (const sizeBytes of [310 * KIB, 3000 * KIB, 200 * KIB + 1536, 700 * KIB, 512, 50_000 * KIB]) {
      await resizeQcow2(await openFileToWrite(path), sizeBytes, { ...own, location: path, shrink: true })
      wanted = padded(wanted, sizeBytes)
      await judge(t, path, wanted, `${name} to ${sizeBytes}`)
    }
    await t.rejects(resizeQcow2(await openFileToWrite(path), 512, { ...own, location: path }), {
      code: 'GRANARY_INVALID_ARGUMENT',
    })
  }
})

t.test('commit', async t => {
  const random = seededRandom(4)
  const base = await make('base.qcow2', { sizeBytes: 1000 * KIB, clusterBytes: 4096 })
  await write(base, [[0, seededBytes(700 * KIB, 3)]])
  const overlay = await make('overlay.qcow2', {
    sizeBytes: 900 * KIB,
    backing: { name: 'base.qcow2', format: 'qcow2' },
  })
  await write(
    overlay,
    Array.from({ length: 20 }, (_, seed) => [random(800 * KIB), seededBytes(random(9000), seed)] as const),
  )
  const disk = await openQcow2Writer(await openFileToWrite(overlay), { ...own, location: overlay })
  await disk.zero(100 * KIB, 300 * KIB)
  await disk[Symbol.asyncDispose]()
  const wanted = await contentOf(overlay)
  const rest = (await contentOf(base)).subarray(wanted.length)
  const target = await openQcow2Writer(await openFileToWrite(base))
  await commitQcow2(await openFileToWrite(overlay), target)
  await target[Symbol.asyncDispose]()
  await judge(t, base, Uint8Array.from([...wanted, ...rest]), 'backing')
  await judge(t, overlay, wanted, 'emptied overlay')
  const emptied = await openFileToRead(overlay)
  t.equal((await checkQcow2(emptied)).dataClusters, 0)
  await emptied[Symbol.asyncDispose]?.()
  const small = memoryDisk(new Uint8Array(512))
  await t.rejects(commitQcow2(await openFileToWrite(overlay), small), { code: 'GRANARY_SIZE' })
})

t.test('rebase', async t => {
  const old = seededBytes(600 * KIB, 5)
  const other = padded(old, 500 * KIB)
  other.set(seededBytes(40_000, 6), 30_000)
  other.fill(0, 200_000, 260_000)
  const holey = old.slice()
  holey.fill(0, 300_000, 420_000)
  writeFileSync(at('old.raw'), holey)
  writeFileSync(at('new.raw'), other)
  for (const extendedL2 of [false, true]) {
    for (const name of ['new.raw', undefined]) {
      const path = await make('rebased.qcow2', {
        sizeBytes: 650 * KIB,
        clusterBytes: 16_384,
        extendedL2,
        backing: { name: 'old.raw', format: 'raw' },
      })
      await write(path, [
        [100_001, seededBytes(3000, 7)],
        [290_000, seededBytes(3000, 7)],
      ])
      const wanted = await contentOf(path)
      await rebaseQcow2(await openFileToWrite(path), {
        ...own,
        location: path,
        ...(name === undefined ? {} : { backing: { name, format: 'raw' }, newBacking: memoryDisk(other) }),
      })
      await judge(t, path, wanted, `onto ${name ?? 'nothing'}, extended L2 ${extendedL2}`)
      const disk = await openQcow2File(path, own)
      t.equal(disk.info().backing?.name, name)
      await disk[Symbol.asyncDispose]()
    }
  }
  const path = await make('moved.qcow2', { sizeBytes: 600 * KIB, backing: { name: 'gone.raw', format: 'raw' } })
  await rebaseQcow2(await openFileToWrite(path), { backing: { name: 'old.raw', format: 'raw' }, unsafe: true })
  await judge(t, path, holey, 'by name only')
})

t.test('measure', { skip: noQemu }, async t => {
  const path = await make('measured.qcow2', { sizeBytes: 5000 * KIB, clusterBytes: 4096 })
  await write(path, [
    [10_000, seededBytes(600_000, 1)],
    [4_000_000, seededBytes(1, 1)],
  ])
  for (const clusterBytes of [512, 4096, 65_536, 2_097_152]) {
    const disk = await openQcow2File(path)
    const found = await measureQcow2({ sizeBytes: disk.sizeBytes, extents: disk.extents(), clusterBytes })
    const wanted = JSON.parse(
      qemuImg('measure', '--output=json', '-O', 'qcow2', '-o', `cluster_size=${clusterBytes}`, path),
    ) as Record<string, number>
    t.strictSame(
      found,
      { requiredBytes: wanted['required'], fullyAllocatedBytes: wanted['fully-allocated'] },
      `clusters of ${clusterBytes}`,
    )
    await disk[Symbol.asyncDispose]()
  }
})

t.test('bitmaps follow what is written, and survive', async t => {
  const path = await make('bitmaps.qcow2', { sizeBytes: 4000 * KIB, clusterBytes: 4096 })
  const first = await openQcow2Writer(await openFileToWrite(path))
  await first.addBitmap({ name: 'since', granularityBytes: 65_536 })
  await first.addBitmap({ name: 'frozen', isAuto: false, dirty: [{ offset: 100_000, length: 1 }] })
  await first.write(700_000, seededBytes(10, 1))
  await first[Symbol.asyncDispose]()
  await write(path, [[2_000_000, seededBytes(100_000, 1)]])
  const disk = await openQcow2File(path)
  const dirty = async (name: string) => (await collect(disk.dirtyRanges(name))).filter(range => range.dirty)
  t.strictSame(await dirty('since'), [
    { offset: 655_360, length: 65_536, dirty: true },
    { offset: 1_966_080, length: 2_162_688 - 1_966_080, dirty: true },
  ])
  t.strictSame(await dirty('frozen'), [{ offset: 65_536, length: 65_536, dirty: true }])
  await disk[Symbol.asyncDispose]()
  const wanted = padded(new Uint8Array(), 4000 * KIB)
  wanted.set(seededBytes(10, 1), 700_000)
  wanted.set(seededBytes(100_000, 1), 2_000_000)
  await judge(t, path, wanted, 'with bitmaps')
  if (noQemu === false) {
    const { 'format-specific': specific } = JSON.parse(qemuImg('info', '--output=json', path)) as {
      'format-specific': { data: { bitmaps: { name: string; flags: string[] }[] } }
    }
    t.strictSame(
      specific.data.bitmaps
        .map(({ name, flags }) => [name, flags])
        .toSorted((a, b) => String(a[0]).localeCompare(String(b[0]))),
      [
        ['frozen', []],
        ['since', ['auto']],
      ],
    )
  }
  // A writer that dies leaves them marked.
  const file = memoryFile(new Uint8Array(readFileSync(path)))
  const dying = await openQcow2Writer(file)
  await dying.write(0, seededBytes(5, 5))
  writeFileSync(at('died.qcow2'), file.bytes())
  const after = await openQcow2File(at('died.qcow2'))
  t.equal((await after.bitmaps()).find(({ name }) => name === 'since')?.isInUse, true)
  await after[Symbol.asyncDispose]()
})

t.test('preallocation', async t => {
  for (const preallocation of ['metadata', 'full'] as const) {
    for (const extendedL2 of [false, true]) {
      const path = await make('preallocated.qcow2', {
        sizeBytes: 70_000 * KIB,
        clusterBytes: 16_384,
        preallocation,
        extendedL2,
      })
      await judge(t, path, new Uint8Array(70_000 * KIB), `${preallocation}, extended L2 ${extendedL2}`)
      const before = statSync(path).size
      await write(path, [[12_345, seededBytes(100_000, 1)]])
      t.equal(statSync(path).size, before, 'nothing more is allocated')
    }
  }
})

t.test('internal snapshots stay what they were', { skip: noQemu }, async t => {
  for (const options of [{ clusterBytes: 4096 }, { clusterBytes: 16_384, extendedL2: true }]) {
    const path = await make('snapshots.qcow2', { sizeBytes: 3000 * KIB, ...options })
    await write(path, [[5000, seededBytes(500_000, 1)]])
    const before = await contentOf(path)
    qemuImg('snapshot', '-c', 'kept', path)
    await write(path, [
      [0, seededBytes(100_000, 2)],
      [400_000, seededBytes(1000, 3)],
      [2_000_000, seededBytes(9000, 3)],
    ])
    const disk = await openQcow2Writer(await openFileToWrite(path))
    await disk.zero(200_000, 100_000, { punch: true })
    await disk[Symbol.asyncDispose]()
    const wanted = before.slice()
    wanted.set(seededBytes(100_000, 2), 0)
    wanted.set(seededBytes(1000, 3), 400_000)
    wanted.set(seededBytes(9000, 3), 2_000_000)
    wanted.fill(0, 200_000, 300_000)
    await judge(t, path, wanted, 'active disk')
    const snapshot = await openQcow2File(path, { snapshot: 'kept' })
    const kept = new Uint8Array(snapshot.sizeBytes)
    await snapshot.read(0, kept)
    t.equal(Buffer.compare(kept, before), 0, 'snapshot')
    await snapshot[Symbol.asyncDispose]()
    copyFileSync(path, at('reverted.qcow2'))
    qemuImg('snapshot', '-a', 'kept', at('reverted.qcow2'))
    await judge(t, at('reverted.qcow2'), before, 'after QEMU went back to it')
    await resizeQcow2(await openFileToWrite(path), 100 * KIB, { shrink: true })
    await judge(t, path, wanted.slice(0, 100 * KIB), 'shrunk')
  }
})

t.test('images that are not written', async t => {
  const path = at('old-version.qcow2')
  if (noQemu === false) {
    qemuImg('create', '-f', 'qcow2', '-o', 'compat=0.10', path, '1M')
    await t.rejects(openQcow2Writer(await openFileToWrite(path)), { code: 'GRANARY_UNSUPPORTED' })
  }
  await t.rejects(createQcow2(memoryFile(), { sizeBytes: 1, clusterBytes: 1000 }), { code: 'GRANARY_INVALID_ARGUMENT' })
  await t.rejects(createQcow2(memoryFile(), { sizeBytes: 2 ** 45, clusterBytes: 512 }), { code: 'GRANARY_LIMIT' })
})

t.test('repair into another file', async t => {
  const path = await make('leaky.qcow2', { sizeBytes: 3000 * KIB, clusterBytes: 4096 })
  await write(path, [[5000, seededBytes(500_000, 1)]])
  const wanted = await contentOf(path)
  const image = new Uint8Array(readFileSync(path))
  // The refcount block is in cluster 1: two leaks behind the end, one cluster that says it is shared.
  const view = new DataView(image.buffer)
  const block = Number(view.getBigUint64(Number(view.getBigUint64(48))))
  const clusters = image.length / 4096
  view.setUint16(block + (clusters + 5) * 2, 1)
  view.setUint16(block + (clusters + 6) * 2, 7)
  view.setUint16(block + (clusters - 3) * 2, 2)
  const before = await checkQcow2(memoryFile(image))
  t.equal(before.leaks, 3)
  rmSync(at('repaired.qcow2'), { force: true })
  const target = await createFile(at('repaired.qcow2'))
  await repairQcow2(memoryFile(image), target)
  await target[Symbol.asyncDispose]?.()
  await judge(t, at('repaired.qcow2'), wanted, 'repaired')
  const damaged = image.slice()
  new DataView(damaged.buffer).setUint32(Number(view.getBigUint64(40)) + 4, 0x1234_5678)
  await t.rejects(repairQcow2(memoryFile(damaged), memoryFile()), { code: 'GRANARY_CORRUPT' })
})
