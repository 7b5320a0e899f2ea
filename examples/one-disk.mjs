// One disk, without a platform: a server's disk is backed up, changed, backed up again, restored and
// compared. Run it: node examples/one-disk.mjs
import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { copyDisk, createRawDisk, formatBytes, openRawReader, openRawWriter } from '@granary/core'
import {
  backup,
  check,
  diffSnapshots,
  fileBackend,
  initRepository,
  openDisk,
  openRepository,
} from '@granary/dedup-store'
import { openQcow2File } from '@granary/qcow2'
import { createSteps, folderBytes } from './steps.mjs'

const SERVER = fileURLToPath(new URL('../test/fixtures/server.qcow2', import.meta.url))
const MIB = 1024 * 1024

const { step, print } = createSteps()

const main = async folder => {
  const image = join(folder, 'server.qcow2')
  const raw = join(folder, 'server.raw')
  await copyFile(SERVER, image)

  // A repository is a folder and a secret: here a key file's 32 bytes. Whoever has both can read it, nobody else.
  const secret = { kind: 'key-file', key: new Uint8Array(randomBytes(32)) }
  const backend = fileBackend(join(folder, 'repository'))
  await step(
    'make a repository',
    () => initRepository(backend, secret, { compression: 'zstd:3' }),
    ({ id }) => ({ text: `id ${id.slice(0, 8)}` }),
  )
  const repository = await openRepository(backend, secret)

  const describeBackup = ({ disks: [disk] }) => ({
    text: `${formatBytes(disk.sizeBytes)} disk, ${formatBytes(disk.stats.dataBytes)} data, ${formatBytes(disk.stats.newBytes)} new, ${formatBytes(disk.stats.storedBytes)} stored`,
    bytes: disk.stats.dataBytes,
  })

  // Any `DiskReader` can be backed up: an image, a raw file, a device.
  const first = await step(
    'back up the qcow2 image',
    () =>
      using([openQcow2File(image)], ([disk]) =>
        backup(repository, [{ name: 'root', source: image, disk }], { name: 'server' }),
      ),
    describeBackup,
  )

  // The server goes on working: what a restore gives is a disk again, here one that is then written to.
  await step('restore it to a raw file', () => restore(repository, first.id, raw), describeRestore)
  const changed = await step(
    'change it here and there',
    () => change(raw),
    bytes => ({ text: `${formatBytes(bytes)} written` }),
  )

  // Workers read a raw file by themselves when they get its descriptor.
  const second = await step(
    'back up the changed disk',
    () =>
      using([openRawReader(raw)], ([disk]) => {
        const input = { name: 'root', source: raw, disk, fileDescriptor: disk.fileDescriptor }
        return backup(repository, [input], { name: 'server', labels: { after: 'change' } })
      }),
    describeBackup,
  )
  await step(
    'compare the two snapshots',
    () => changedBytes(repository, first.id, second.id),
    bytes => ({
      text: `${formatBytes(bytes)} differ`,
    }),
  )

  await proveIt(repository, { first, second, raw, image, folder })
  await repository[Symbol.asyncDispose]()

  const stored = await folderBytes(join(folder, 'repository'))
  const kept = dataBytesOf(first) + dataBytesOf(second)
  print()
  console.log(
    `\n2 snapshots of ${formatBytes(first.disks[0].sizeBytes)}, with ${formatBytes(kept)} of data in all, take ${formatBytes(stored)}: ` +
      `${(kept / stored).toFixed(1)} times less. ${formatBytes(changed)} changed between them.`,
  )
}

/** Restores both snapshots and compares every byte with what was backed up. */
const proveIt = async (repository, { first, second, raw, image, folder }) => {
  const again = join(folder, 'again.raw')
  await step('restore the second one', () => restore(repository, second.id, again), describeRestore)
  const before = join(folder, 'before.raw')
  await step('restore the first one again', () => restore(repository, first.id, before), describeRestore)
  await step(
    'read both back and compare every byte',
    () => compareAll(raw, again, { image, before }),
    bytes => ({ text: `${formatBytes(bytes)} are equal`, bytes }),
  )
  await step(
    'check the repository, reading all of it',
    () => verify(repository),
    ({ packs, readBytes }) => ({ text: `${packs} packs, ${formatBytes(readBytes)}, no damage`, bytes: readBytes }),
  )
}

const dataBytesOf = ({ disks: [disk] }) => disk.stats.dataBytes

/** Works with what is opened, and closes it in any case. With Node 24, `await using` says the same. */
const using = async (opening, work) => {
  const opened = await Promise.allSettled(opening)
  try {
    for (const { status, reason } of opened) if (status === 'rejected') throw reason
    return await work(opened.map(({ value }) => value))
  } finally {
    for (const { value } of opened) await value?.[Symbol.asyncDispose]()
  }
}

/** Writes a stored disk to a new, sparse file. While it is open, no collection takes it away. */
const restore = (repository, id, path) =>
  using([openDisk(repository, id)], ([stored]) =>
    using([createRawDisk(path, stored.sizeBytes)], ([target]) => copyDisk(stored, target)),
  )

const describeRestore = ({ dataBytes, holeBytes, zeroBytes }) => ({
  text: `${formatBytes(dataBytes)} written, ${formatBytes(holeBytes + zeroBytes)} left as holes`,
  bytes: dataBytes,
})

/** Four places of 256 KiB, far apart. @returns bytes written */
const change = path =>
  using([openRawWriter(path)], async ([disk]) => {
    for (const share of [0.1, 0.35, 0.6, 0.9]) {
      const offset = Math.floor((disk.sizeBytes * share) / 4096) * 4096
      await disk.write(offset, new Uint8Array(randomBytes(MIB / 4)))
    }
    await disk.flush()
    return MIB
  })

const changedBytes = async (repository, before, after) => {
  let sum = 0
  for await (const { ranges } of diffSnapshots(repository, before, after)) {
    for await (const { length } of ranges) sum += length
  }
  return sum
}

/** @returns bytes compared @throws when any differ */
const compareAll = async (raw, again, { image, before }) =>
  (await using([openRawReader(raw), openRawReader(again)], ([one, other]) => compare(one, other))) +
  (await using([openQcow2File(image), openRawReader(before)], ([one, other]) => compare(one, other)))

const compare = async (left, right) => {
  if (left.sizeBytes !== right.sizeBytes) throw new Error(`sizes differ: ${left.sizeBytes}, ${right.sizeBytes}`)
  const [one, other] = [Buffer.alloc(4 * MIB), Buffer.alloc(4 * MIB)]
  for (let at = 0; at < left.sizeBytes; at += one.length) {
    const length = Math.min(one.length, left.sizeBytes - at)
    await Promise.all([left.read(at, one.subarray(0, length)), right.read(at, other.subarray(0, length))])
    if (!one.subarray(0, length).equals(other.subarray(0, length))) throw new Error(`they differ at ${at}`)
  }
  return left.sizeBytes
}

const verify = async repository => {
  const report = await check(repository, { readData: 1 })
  if (report.damages.length > 0) throw new Error(`damaged: ${JSON.stringify(report.damages)}`)
  return report
}

const folder = await mkdtemp(join(tmpdir(), 'granary-start-'))
try {
  await main(folder)
} finally {
  await rm(folder, { recursive: true, force: true })
}
