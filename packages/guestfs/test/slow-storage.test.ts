import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRawReader } from '@granary/core'
import { backup, fileBackend, initRepository, openDisk, openRepository } from '@granary/dedup-store'
import type { Backend } from '@granary/dedup-store'
import { faultyBackend, seededBytes } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { openVolumes } from '../src/index.ts'
import type { FileTree } from '../src/index.ts'
import { fileDisk } from './helpers/file-disk.ts'

const MIB = 1024 * 1024
const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
const has = (program: string): boolean => spawnSync('which', [program]).status === 0

t.setTimeout(isLong ? 3_600_000 : 600_000)

const scratch = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A file system with folders of a thousand small files, on a disk of some GiB that is mostly hole. */
const diskOfFiles = (folder: string, files: number, sizeBytes: number): string => {
  const [top, path] = [join(folder, 'top'), join(folder, 'disk.raw')]
  for (let index = 0; index < files; index++) {
    const place = join(top, `folder ${Math.floor(index / 1000)}`)
    if (index % 1000 === 0) mkdirSync(place, { recursive: true })
    writeFileSync(join(place, `file number ${index}.txt`), index % 50 === 0 ? 'x'.repeat(index % 3000) : '')
  }
  writeFileSync(join(top, 'wanted'), seededBytes(3 * MIB, 1))
  writeFileSync(path, '')
  truncateSync(path, sizeBytes)
  execFileSync('mkfs.ext4', ['-q', '-F', '-N', String(files + 5000), '-E', 'lazy_itable_init=1', '-d', top, path])
  rmSync(top, { recursive: true })
  return path
}

const countFiles = async (tree: FileTree): Promise<number> => {
  let files = 0
  for await (const item of tree.walk()) {
    if (item.kind === 'error') throw item.error
    files++
  }
  return files
}

const skip = has('mkfs.ext4') ? false : 'the program mkfs.ext4 is not here'

t.test('listing a disk of many files reads little of it', { skip }, async t => {
  const files = isLong ? 100_000 : 20_000
  t.comment(`${files} files`)
  const path = diskOfFiles(scratch(t), files, Math.round((files / 100_000) * 4096) * MIB)
  await using disk = await fileDisk(path)
  await using set = await openVolumes([disk])
  await using tree = await set.volumes[0]?.open()
  t.equal(await countFiles(tree as FileTree), files + Math.ceil(files / 1000) + 3)
  const share = disk.counts.bytes / disk.sizeBytes
  t.comment(
    `${disk.counts.reads} reads of ${(disk.counts.bytes / MIB).toFixed(1)} MiB, ${(share * 100).toFixed(2)} % of the disk`,
  )
  t.ok(share < 0.02, 'less than 2 %')
  const needed = (files * 256) / 0.9 + files * 48
  t.ok(disk.counts.bytes < needed * 1.5, 'not much more than its inodes and directories')
})

/** Counts what is fetched, and makes each request late. */
const slowBackend = (backend: Backend, latencyMs: number): { backend: Backend; counts: { requests: number } } => {
  const counts = { requests: 0 }
  const slow = faultyBackend(backend, ({ operation }) => {
    if (operation === 'get' || operation === 'list' || operation === 'stat') counts.requests++
    return { kind: 'slow', ms: latencyMs }
  })
  return { backend: slow, counts }
}

t.test('files come out of a snapshot on files, and on a storage that answers late', { skip }, async t => {
  const folder = scratch(t)
  const path = diskOfFiles(folder, 3000, 512 * MIB)
  const store = fileBackend(join(folder, 'repo'))
  const secret = { kind: 'key-file', key: Uint8Array.from(randomBytes(32)) } as const
  await initRepository(store, secret)
  let id = ''
  {
    await using repository = await openRepository(store, secret)
    await using disk = await openRawReader(path)
    ;({ id } = await backup(repository, [{ name: 'disk', source: 'test', disk }], { name: 'web', workers: 0 }))
  }
  for (const latencyMs of [0, 50]) {
    const { backend, counts } = slowBackend(store, latencyMs)
    await using repository = await openRepository(backend, secret)
    await using disk = await openDisk(repository, id)
    const before = counts.requests
    await using set = await openVolumes([disk])
    await using tree = (await set.volumes[0]?.open()) as FileTree
    const file = await tree.open(await tree.lookup('/wanted'))
    const found = new Uint8Array(file.sizeBytes)
    await file.read(0, found)
    t.equal(Buffer.compare(found, seededBytes(3 * MIB, 1)), 0, `${latencyMs} ms a request: every byte`)
    const toRead = counts.requests - before
    t.equal(await countFiles(tree), 3006)
    t.comment(
      `${latencyMs} ms a request: ${toRead} requests for one file, ${counts.requests - before - toRead} for the listing of 3006`,
    )
    t.ok(counts.requests - before < 120, 'few requests')
  }
})
