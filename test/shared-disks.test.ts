/** Real disks of many systems, into one repository and back. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { diskStream, openRawReader } from '@granary/core'
import type { DiskReader, DiskStream, Extent } from '@granary/core'
import { backup, check, openDisk } from '@granary/dedup-store'
import type { Repository, Snapshot } from '@granary/dedup-store'
import { openQcow2File } from '@granary/qcow2'
import { parseJsonLines, runGranary, seededRandom, sharedPath } from '@granary/testing'
import t from 'tap'
import { KEY, createRepository, restoreTo, scratchFolder, sha256OfFile, sha256OfStream, sizeOf } from './product.ts'

const images = sharedPath('guestfs', 'images')

const why =
  images === undefined
    ? 'needs ../shared/guestfs/images'
    : spawnSync('zstd', ['--version']).status === 0
      ? false
      : 'needs zstd to unpack the disks'

interface SharedDisk {
  readonly file: string
  readonly qcow2: string | null
  readonly size: number
  readonly sha256: string
  readonly zst_bytes: number
}

const readIndex = (folder: string): SharedDisk[] =>
  (JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { disks: SharedDisk[] }[]).flatMap(row => row.disks)

const unpack = (source: string, target: string): void => {
  const { status, stderr } = spawnSync('zstd', ['-d', '-q', '-f', '--sparse', source, '-o', target], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`zstd ${source}: ${stderr}`)
}

/** What the index says, unless the packed file is another than the one it describes: then what is in it. */
const digestOf = async (disk: SharedDisk, packed: string, raw: string): Promise<string> =>
  statSync(packed).size === disk.zst_bytes ? disk.sha256 : await sha256OfFile(raw)

interface Source {
  readonly name: string
  readonly disk: DiskReader | DiskStream
  readonly fileDescriptor?: number
  readonly workers?: number
}

/** In full: what is known must be found by its content, not by the name of the machine. */
const backUp = async (repository: Repository, { name, disk, workers = 0, ...more }: Source): Promise<Snapshot> => {
  await using _ = disk
  return await backup(repository, [{ name: 'disk', source: name, disk, ...more }], { name, parent: 'none', workers })
}

const newBytesOf = ({ disks }: Snapshot): number => disks.reduce((sum, disk) => sum + disk.stats.newBytes, 0)

/** Backs up a raw file; a worker reads it itself. */
const backUpRaw = async (repository: Repository, name: string, path: string, workers = 1): Promise<Snapshot> => {
  const disk = await openRawReader(path)
  return await backUp(repository, { name, disk, fileDescriptor: disk.fileDescriptor, workers })
}

t.test(
  'every disk goes into one repository, once, and comes back as it was',
  { skip: why, timeout: 600_000 },
  async t => {
    const folder = scratchFolder(t)
    const repo = join(folder, 'repo')
    await using repository = await createRepository(repo)
    const raw = join(folder, 'disk.raw')
    const out = join(folder, 'out.raw')
    const disks = readIndex(images as string)
    t.ok(disks.length >= 40, `${disks.length} disks`)
    for (const disk of disks) {
      const { file, qcow2, size } = disk
      const packed = join(images as string, file)
      unpack(packed, raw)
      const sha256 = await digestOf(disk, packed, raw)
      if (sha256 !== disk.sha256) t.comment(`${file} is not the file that index.json describes: held against itself`)
      const first = await backUpRaw(repository, file, raw)
      t.equal(first.disks[0]?.sizeBytes, size, file)
      const before = sizeOf(repo)
      const allowed = (first.disks[0]?.stats.dataBytes ?? 0) / 1000 + 65_536
      const again = await backUpRaw(repository, file, raw, 0)
      t.equal(newBytesOf(again), 0, `${file}: nothing is new the second time`)
      t.ok(
        sizeOf(repo) - before <= allowed,
        `${file}: a second backup added ${sizeOf(repo) - before}, allowed ${allowed}`,
      )
      if (qcow2 !== null) {
        const image = await backUp(repository, {
          name: qcow2,
          disk: await openQcow2File(join(images as string, qcow2)),
        })
        t.equal(newBytesOf(image), 0, `${qcow2}: the image has nothing that the raw disk hasn't`)
        const piped = await backUp(repository, {
          name: `${file}, piped`,
          disk: diskStream(createReadStream(raw), 'a pipe'),
        })
        t.equal(newBytesOf(piped), 0, `${file}: nor has a pipe`)
        t.ok(sizeOf(repo) - before <= 3 * allowed, `${file}: raw, image and pipe share what they store`)
        for (const { id } of [image, piped]) {
          await using stored = await openDisk(repository, id)
          t.equal(await sha256OfStream(stored), sha256, `${file}: from the image, and from the pipe`)
        }
      }
      rmSync(out, { force: true })
      await restoreTo(repository, { id: again.id, path: out })
      t.equal(await sha256OfFile(out), sha256, `${file}: restored to a file`)
      await using stored = await openDisk(repository, first.id)
      t.equal(await sha256OfStream(stored), sha256, `${file}: restored to a stream`)
    }
    const report = await check(repository, { readData: 1 })
    t.same(report.damages, [])
    t.ok(report.snapshots >= 2 * disks.length)
    t.comment(`${disks.length} disks, ${report.snapshots} snapshots, ${sizeOf(repo)} bytes in the repository`)
  },
)

t.test('10,000 reads at random places of a stored disk equal the disk', { skip: why, timeout: 600_000 }, async t => {
  const folder = scratchFolder(t)
  await using repository = await createRepository(join(folder, 'repo'))
  const raw = join(folder, 'disk.raw')
  unpack(join(images as string, 'server-lvm.raw.zst'), raw)
  const { id } = await backUpRaw(repository, 'server', raw)
  await using source = await openRawReader(raw)
  await using stored = await openDisk(repository, id, { cacheBytes: 8 * 1024 * 1024 })
  const data: Extent[] = []
  for await (const extent of source.extents()) if (extent.kind === 'data') data.push(extent)
  const random = seededRandom(20_000)
  let different = 0
  for (let i = 0; i < 10_000; i++) {
    const length = 1 + random(i % 50 === 0 ? 1024 * 1024 : 32 * 1024)
    // Most of a disk is hole: three reads of four begin in or just before data.
    const extent = data[random(data.length)] as Extent
    const at = random(4) === 0 ? random(source.sizeBytes) : extent.offset + random(extent.length) - random(length)
    const offset = Math.min(Math.max(at, 0), source.sizeBytes - length)
    const [expected, found] = [Buffer.alloc(length), Buffer.alloc(length, 0xaa)]
    await Promise.all([source.read(offset, expected), stored.read(offset, found)])
    if (!expected.equals(found)) different++
  }
  t.equal(different, 0)
})

t.test(
  'the command line gives back what it was given: images in, files and pipes out',
  { skip: why, timeout: 600_000 },
  async t => {
    const folder = scratchFolder(t)
    writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
    const env = { GRANARY_REPO: join(folder, 'repo'), GRANARY_KEY_FILE: join(folder, 'key') }
    t.equal((await runGranary(['init'], { env })).code, 0)
    const withImage = readIndex(images as string).filter(disk => disk.qcow2 !== null)
    t.same(new Set(withImage.map(disk => disk.qcow2)), new Set(['server-lvm.qcow2', 'windows-mbr.qcow2']))
    for (const { qcow2, sha256 } of withImage) {
      const made = await runGranary(['backup', join(images as string, qcow2 as string), '--json'], { env })
      t.equal(made.code, 0, made.stderr)
      const id = parseJsonLines(made.text)[0]?.['id'] as string
      const out = join(folder, `${id}.raw`)
      t.equal((await runGranary(['restore', id.slice(0, 8), out], { env })).code, 0)
      t.equal(await sha256OfFile(out), sha256, `${qcow2}: to a file`)
      const hash = createHash('sha256')
      const { code } = await runGranary(['restore', id, '-'], { env, output: bytes => void hash.update(bytes) })
      t.equal(code, 0)
      t.equal(hash.digest('hex'), sha256, `${qcow2}: to standard output`)
    }
    t.equal((await runGranary(['check', '--read-data'], { env })).code, 0)
  },
)
