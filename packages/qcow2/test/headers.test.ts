/** What a writer keeps of a header that a later version wrote, what it clears, and what it does not touch at all. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { memoryDisk } from '@granary/core'
import { seededBytes } from '@granary/testing'
import { createQcow2, memoryFile, openQcow2, openQcow2Writer, rebaseQcow2, resizeQcow2 } from '../src/index.ts'
import { AT, readHeader } from '../src/header.ts'
import { noQemu, qemuCheck, qemuImg } from './peer.ts'

const BACKING = { name: 'base.raw', format: 'raw' } as const
const UNKNOWN_EXTENSION = 0x0badcafe

/** Room for 16 bytes of fields and one extension, between the header and its extensions. */
const INSERTED_BYTES = 16 + 16
const HEADER_BYTES = 112

/** An image as a later QEMU may write it: longer header, another extension, other feature bits. */
const fromTheFuture = async (): Promise<Uint8Array> => {
  const file = memoryFile()
  await createQcow2(file, { sizeBytes: 1 << 20, compression: 'zstd', backing: BACKING })
  const bytes = file.bytes()
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const backingAt = Number(view.getBigUint64(AT.backingOffset))
  const end = backingAt + BACKING.name.length
  bytes.copyWithin(HEADER_BYTES + INSERTED_BYTES, HEADER_BYTES, end)
  view.setBigUint64(AT.backingOffset, BigInt(backingAt + INSERTED_BYTES))
  bytes.fill(0x5a, AT.endCompressionType, HEADER_BYTES + 16)
  view.setUint32(AT.headerLength, HEADER_BYTES + 16)
  view.setUint32(HEADER_BYTES + 16, UNKNOWN_EXTENSION)
  view.setUint32(HEADER_BYTES + 20, 5)
  bytes.set(Buffer.from('later\0\0\0'), HEADER_BYTES + 24)
  view.setBigUint64(AT.compatible, 1n << 40n)
  view.setBigUint64(AT.autoclear, 1n << 9n)
  return bytes
}

t.test('what is not known is kept, but for autoclear bits', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-qcow2-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, BACKING.name), seededBytes(1 << 20, 1))
  const options = { backingDisk: memoryDisk(seededBytes(1 << 20, 1)) }
  const changes: Readonly<Record<string, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
    'a write': async bytes => {
      const file = memoryFile(bytes)
      const disk = await openQcow2Writer(file, options)
      await disk.write(70_000, seededBytes(100, 2))
      await disk[Symbol.asyncDispose]()
      return file.bytes()
    },
    'a resize': async bytes => {
      const file = memoryFile(bytes)
      await resizeQcow2(file, 2 << 20, options)
      return file.bytes()
    },
    'a rebase': async bytes => {
      const file = memoryFile(bytes)
      await rebaseQcow2(file, { backing: { name: './base.raw', format: 'raw' }, unsafe: true })
      return file.bytes()
    },
  }
  for (const [name, change] of Object.entries(changes)) {
    const before = await fromTheFuture()
    const after = await change(before.slice())
    const view = new DataView(after.buffer, after.byteOffset)
    t.equal(view.getBigUint64(AT.compatible), 1n << 40n, `${name}: compatible features`)
    t.equal(view.getBigUint64(AT.autoclear), 0n, `${name}: autoclear features`)
    const header = await readHeader(memoryFile(after))
    t.equal(header.headerLength, HEADER_BYTES + 16)
    t.ok(header.unknown.fields.every(byte => byte === 0x5a) && header.unknown.fields.length === 23, `${name}: fields`)
    const extension = header.extensions.find(({ type }) => type === UNKNOWN_EXTENSION)
    t.equal(Buffer.from(extension?.data ?? []).toString(), 'later', `${name}: extensions`)
    t.equal(header.compression, 'zstd', `${name}: the compression type`)
    if (noQemu !== false) continue
    const path = join(folder, 'image.qcow2')
    writeFileSync(path, after)
    t.strictSame(qemuCheck(path), { errors: 0, leaks: 0 }, `${name}: qemu-img check`)
    t.match(qemuImg('info', path), /zstd/)
  }
})

t.test('images that are read, or not even that, are not written', async t => {
  const file = memoryFile()
  await createQcow2(file, { sizeBytes: 65_536 })
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = file.bytes().slice()
    new DataView(bytes.buffer).setUint32(at, value)
    return bytes
  }
  const before = changed(AT.incompatible + 4, 2)
  const marked = memoryFile(before.slice())
  await t.rejects(openQcow2Writer(marked), { code: 'GRANARY_UNSUPPORTED', message: /marked corrupt/ })
  t.ok(Buffer.from(marked.bytes()).equals(before), 'not a byte is changed')
  await using disk = await openQcow2(memoryFile(before.slice()))
  await disk.read(0, new Uint8Array(512))
  t.equal(disk.info().isCorrupt, true)
  for (const [name, bytes] of Object.entries({
    'an external data file': changed(AT.incompatible + 4, 4),
    'legacy AES': changed(AT.crypt, 1),
    'an unknown feature': changed(AT.incompatible, 1),
  }))
    await t.rejects(openQcow2Writer(memoryFile(bytes)), { code: 'GRANARY_UNSUPPORTED' }, name)
})
