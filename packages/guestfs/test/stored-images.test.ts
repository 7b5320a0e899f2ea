import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { basename, join } from 'node:path'
import { openRawReader } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { backup, initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'
import type { Repository } from '@granary/dedup-store'
import { openQcow2File, refuseReferences } from '@granary/qcow2'
import t from 'tap'
import type { Test } from 'tap'
import { openVolumes } from '../src/index.ts'
import { imageRows, imagesSkip, readManifest, unpack } from './helpers/images.ts'
import type { ImageRow } from './helpers/images.ts'
import { differences } from './helpers/manifest.ts'
import { codePageOf, findVolume, rulesOf } from './helpers/match.ts'

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined

/** One of each kind, small; with GRANARY_TEST_LONG all. */
const SAMPLE = [
  'btrfs-raid1',
  'ext4-dirty',
  'fat16-cp866',
  'lvm-multi',
  'ntfs-fragmft',
  'part-gpt-backup',
  'xfs5-dirty',
]

t.setTimeout(isLong ? 7_200_000 : 600_000)

/** What the disks show is what the manifest says. */
const compare = async (t: Test, row: ImageRow, disks: readonly DiskReader[], how: string): Promise<void> => {
  await using set = await openVolumes(disks)
  for (const wanted of readManifest(row).volumes) {
    const volume = findVolume(set.volumes, wanted)
    if (volume === undefined || wanted.entries === undefined) {
      t.ok(volume?.whyNot, `${how}: ${wanted.id} is told of`)
      continue
    }
    await using tree = await volume.open(codePageOf(wanted))
    const found = await differences(tree, wanted, rulesOf(volume, wanted))
    const isToldOf = wanted.expect === 'read-or-warn' && tree.warnings.length > 0
    t.strictSame(isToldOf ? [] : found.slice(0, 10), [], `${how}: ${wanted.id}`)
  }
}

const closing = async (disks: readonly DiskReader[], run: () => Promise<void>): Promise<void> => {
  try {
    await run()
  } finally {
    for (const disk of disks) await disk[Symbol.asyncDispose]()
  }
}

const throughRepository = async (
  t: Test,
  row: ImageRow,
  repository: Repository,
  paths: readonly string[],
): Promise<void> => {
  const sources: DiskReader[] = []
  let id = ''
  await closing(sources, async () => {
    for (const path of paths) sources.push(await openRawReader(path))
    const inputs = sources.map((disk, index) => ({ name: `disk${index}`, source: row.name, disk }))
    ;({ id } = await backup(repository, inputs, { name: row.name, workers: 0 }))
  })
  const stored: DiskReader[] = []
  await closing(stored, async () => {
    for (const index of paths.keys()) stored.push(await openDisk(repository, id, { disk: `disk${index}` }))
    await compare(t, row, stored, 'from the repository')
  })
}

const throughQcow2 = async (t: Test, row: ImageRow, paths: readonly string[]): Promise<void> => {
  const images: DiskReader[] = []
  await closing(images, async () => {
    for (const path of paths) {
      const image = `${path}.qcow2`
      execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', path, image])
      images.push(await openQcow2File(image, { resolve: refuseReferences }))
    }
    await compare(t, row, images, 'from qcow2')
  })
}

const hasQemuImg = spawnSync('which', ['qemu-img']).status === 0

t.test('images of ../shared, through a repository and through qcow2', { skip: imagesSkip }, async t => {
  const backend = memoryBackend()
  const secret = { kind: 'key-file', key: Uint8Array.from(randomBytes(32)) } as const
  await initRepository(backend, secret)
  await using repository = await openRepository(backend, secret)
  const rows = imageRows().filter(({ name }) => isLong || SAMPLE.includes(name))
  t.comment(`${rows.length} of ${imageRows().length} images`)
  for (const row of rows) {
    await t.test(row.name, async t => {
      await using image = await unpack(row.disks.map(({ file }) => file))
      const paths = row.disks.map(({ file }) => join(image.folder, basename(file, '.zst')))
      await throughRepository(t, row, repository, paths)
      if (hasQemuImg) await throughQcow2(t, row, paths)
      else t.comment('the program qemu-img is not here')
    })
  }
})
