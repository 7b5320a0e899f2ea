import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isGranaryError, memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { diskReaderContract, seededBytes, seededRandom } from '@granary/testing'
import { argon2Wasm, blockCipher } from '@granary/transform'
import t from 'tap'
import type { Test } from 'tap'
import { openVolumes } from '../src/index.ts'
import type { Argon2, OpenVolumesOptions } from '../src/index.ts'
import { fileDisk } from './helpers/file-disk.ts'
import { imageRows, imagesSkip, readManifest, unpack } from './helpers/images.ts'
import { cryptsetupSkip, encryptByCryptsetup, encryptByQemu, plainDisk, qemuSkip } from './helpers/luks.ts'
import { differences } from './helpers/manifest.ts'
import { findVolume, rulesOf } from './helpers/match.ts'

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined

t.setTimeout(isLong ? 3_600_000 : 600_000)

const KEY = 'ein geheimnis'
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))
const content = seededBytes(2_000_000, 7)

const argon2: Argon2 = async ({ variant, password, salt, memoryKiB, passes, lanes, lengthBytes }) =>
  await argon2Wasm.hash(password, salt, { memoryKiB, passes, lanes }, lengthBytes, variant)

const scratch = (t: { teardown(action: () => void): void }): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const unlocking = (key: string, volume = 'disk'): OpenVolumesOptions => ({
  unlock: [{ volume, key: bytes(key) }],
  argon2,
  blockCiphers: (name, key) => blockCipher(name, key),
})

/** The file in an encrypted disk is what was put there. */
const expectFile = async (t: Test, path: string): Promise<void> => {
  await using disk = await fileDisk(path)
  {
    await using set = await openVolumes([disk])
    t.match(set.volumes, [{ id: 'disk', content: 'crypto_LUKS', whyNot: { reason: 'encrypted' } }])
  }
  await t.rejects(openVolumes([disk], unlocking('another key')), { code: 'GRANARY_WRONG_KEY' })
  await using set = await openVolumes([disk], unlocking(KEY))
  t.match(set.volumes, [
    { id: 'disk', content: 'crypto_LUKS', whyNot: { reason: 'member' } },
    { id: 'disk-unlocked', kind: 'unlocked', content: 'ext4', source: { container: 'disk' } },
  ])
  await using tree = await set.volumes[1]?.open()
  const file = await tree?.open(await tree.lookup('/file'))
  const found = new Uint8Array(file?.sizeBytes ?? 0)
  await file?.read(0, found)
  t.equal(Buffer.compare(found, content), 0, 'every byte')
  t.strictSame(tree?.warnings, [])
}

const FAST = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000']
const argon2Words = (variant: string): string[] => [
  '--pbkdf',
  variant,
  '--pbkdf-force-iterations',
  '4',
  '--pbkdf-memory',
  '32768',
  '--pbkdf-parallel',
  '2',
]
const LUKS2: Readonly<Record<string, readonly string[]>> = {
  'aes-xts-plain64, sectors of 512, argon2id': ['--sector-size', '512', ...argon2Words('argon2id')],
  'aes-xts-plain64, argon2i, as cryptsetup 2.0 made them': argon2Words('argon2i'),
  'aes-xts-plain64, sectors of 4096': ['--sector-size', '4096', ...FAST],
  'aes-xts-plain64, 256 bits, sha512': ['--key-size', '256', '--hash', 'sha512', ...FAST],
  'aes-cbc-plain64, sectors of 2048': [
    '--cipher',
    'aes-cbc-plain64',
    '--key-size',
    '256',
    '--sector-size',
    '2048',
    ...FAST,
  ],
  'aes-cbc-essiv:sha256, 128 bits': ['--cipher', 'aes-cbc-essiv:sha256', '--key-size', '128', ...FAST],
  'aes-xts-plain, sha1': ['--cipher', 'aes-xts-plain', '--hash', 'sha1', ...FAST],
}

t.test('LUKS2 of cryptsetup is read', { skip: cryptsetupSkip }, async t => {
  const folder = scratch(t)
  const plain = plainDisk(folder, content)
  for (const [name, words] of Object.entries(LUKS2)) {
    await t.test(name, async t => {
      const target = join(folder, 'luks2.raw')
      encryptByCryptsetup(plain, target, { words: ['--type', 'luks2', ...words], key: KEY })
      await expectFile(t, target)
    })
  }
})

t.test('LUKS1 of cryptsetup is read', { skip: cryptsetupSkip }, async t => {
  const folder = scratch(t)
  const plain = plainDisk(folder, content)
  const variants = [
    ['--hash', 'sha512'],
    ['--cipher', 'aes-cbc-essiv:sha256', '--key-size', '256'],
  ]
  for (const words of variants) {
    const target = join(folder, 'luks1.raw')
    encryptByCryptsetup(plain, target, {
      words: ['--type', 'luks2', '--sector-size', '512', ...words, ...FAST],
      key: KEY,
    })
    execFileSync('cryptsetup', ['convert', '-q', '--type', 'luks1', target])
    await expectFile(t, target)
  }
})

/** QEMU measures the processor for seconds. */
const longQemuSkip = qemuSkip || (isLong ? false : 'only with GRANARY_TEST_LONG')

t.test('LUKS1 of QEMU is read', { skip: longQemuSkip }, async t => {
  const folder = scratch(t)
  const plain = plainDisk(folder, content)
  const xts = 'cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64,hash-alg=sha256,iter-time=20'
  const essiv = 'cipher-alg=aes-256,cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256,hash-alg=sha512,iter-time=20'
  const serpent = 'cipher-alg=serpent-256,iter-time=20'
  const twofish = 'cipher-alg=twofish-256,cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256,iter-time=20'
  for (const options of [xts, essiv, serpent, twofish]) {
    const target = join(folder, 'luks1.raw')
    encryptByQemu(plain, target, options, KEY)
    await expectFile(t, target)
  }
  await using disk = await fileDisk(join(folder, 'luks1.raw'))
  await t.rejects(openVolumes([disk], { ...unlocking(KEY), blockCiphers: undefined }), {
    code: 'GRANARY_UNSUPPORTED',
    message: /twofish-cbc-essiv:sha256/,
  })
})

t.test('a volume group inside two containers is put together', { skip: cryptsetupSkip || imagesSkip }, async t => {
  const row = imageRows().find(({ name }) => name === 'lvm-multi')
  if (row === undefined) return
  await using image = await unpack(row.disks.map(({ file }) => file))
  const folder = scratch(t)
  const disks: DiskReader[] = []
  for (const index of image.disks.keys()) {
    const target = join(folder, `${index}.raw`)
    const plain = join(image.folder, `lvm-multi.disk${index}.raw`)
    encryptByCryptsetup(plain, target, { words: ['--type', 'luks2', ...FAST], key: `${KEY} ${index}` })
    const disk = await fileDisk(target)
    disks.push(disk)
    t.teardown(async () => await disk[Symbol.asyncDispose]())
  }
  const unlock = disks.map((_, index) => ({ volume: `d${index}`, key: bytes(`${KEY} ${index}`) }))
  await using set = await openVolumes(disks, { unlock, argon2 })
  for (const wanted of readManifest(row).volumes) {
    const volume = findVolume(set.volumes, wanted)
    await using tree = await volume?.open()
    if (volume === undefined || tree === undefined) t.fail(`${wanted.id} is not there`)
    else t.strictSame(await differences(tree, wanted, rulesOf(volume, wanted)), [], volume.id)
  }
})

/** A small container as bytes, with its header changed and sealed again. */
const changedHeader = (image: Buffer, change: (json: string) => string): Uint8Array => {
  const changed = Uint8Array.from(image)
  for (const offset of [0, 0x4000]) {
    const header = Buffer.from(changed.subarray(offset, offset + 0x4000))
    const json = header.subarray(4096)
    const text = change(json.subarray(0, json.indexOf(0)).toString())
    json.fill(0)
    json.write(text)
    header.fill(0, 448, 512)
    createHash('sha256').update(header).digest().copy(header, 448)
    changed.set(header, offset)
  }
  return changed
}

const replaced = (from: string | RegExp, to: string) => (json: string) => {
  const changed = json.replace(from, to)
  if (changed === json) throw new Error(`${String(from)} is not in ${json}`)
  return changed
}

t.test('headers: the second copy, what is refused, and what is hostile', { skip: cryptsetupSkip }, async t => {
  const folder = scratch(t)
  const target = join(folder, 'luks2.raw')
  encryptByCryptsetup(plainDisk(folder, content), target, { words: ['--type', 'luks2', ...FAST], key: KEY })
  const image = readFileSync(target)
  const open = async (data: Uint8Array, options = unlocking(KEY)): Promise<string[]> => {
    await using set = await openVolumes([memoryDisk(data)], options)
    return set.volumes.map(({ content = '-' }) => content)
  }
  const damaged = Uint8Array.from(image)
  damaged.fill(0xff, 4100, 4200)
  t.strictSame(await open(damaged), ['crypto_LUKS', 'ext4'], 'the second copy of the header')
  const gone = Uint8Array.from(image)
  gone.fill(0, 0, 0x4000)
  t.strictSame(await open(gone), ['crypto_LUKS', 'ext4'], 'the first copy is wiped')

  const cases: [name: string, change: (json: string) => string, code: string, message: RegExp][] = [
    [
      'integrity',
      replaced('"sector_size":', '"integrity":{"type":"hmac(sha256)"},"sector_size":'),
      'GRANARY_UNSUPPORTED',
      /dm-integrity/,
    ],
    [
      'requirements',
      replaced('"config":{', '"config":{"requirements":{"mandatory":["online-reencrypt-v2"]},'),
      'GRANARY_UNSUPPORTED',
      /online-reencrypt-v2/,
    ],
    ['iterations', replaced('"iterations":1000', '"iterations":4000000000'), 'GRANARY_LIMIT', /4000000000/],
    ['stripes', replaced('"stripes":4000', '"stripes":99999999'), 'GRANARY_LIMIT', /stripes/],
    ['cipher', replaced(/aes-xts-plain64(?=[^]*digests)/g, 'rot13-ecb-null'), 'GRANARY_UNSUPPORTED', /rot13-ecb-null/],
    ['hash', replaced(/"hash":"sha256"/g, '"hash":"md4"'), 'GRANARY_UNSUPPORTED', /md4/],
    ['offset', replaced('"offset":"32768"', '"offset":"9007199254740000"'), 'GRANARY_CORRUPT', /inside the volume/],
    ['type', replaced('"keyslots":{', '"keyslots":7,"x":{'), 'GRANARY_CORRUPT', /keyslots/],
  ]
  for (const [name, change, code, message] of cases)
    await t.rejects(open(changedHeader(image, change)), { code, message }, name)

  const random = seededRandom(3)
  const rounds = isLong ? 2000 : 30
  t.comment(`${rounds} damaged headers`)
  for (let round = 0; round < rounds; round++) {
    const changed = Uint8Array.from(image.subarray(0, 17_000_000))
    for (let count = 1 + random(4); count > 0; count--) changed[random(0x8000)] = random(256)
    try {
      await open(changed)
    } catch (error) {
      if (!isGranaryError(error)) t.fail(`round ${round}: ${String(error)}`)
    }
  }
})

t.test('keys that fit nothing are told of', { skip: imagesSkip }, async t => {
  await using image = await unpack(['luks2-whole.raw.zst'])
  await t.resolves(openVolumes(image.disks, unlocking('pass')))
  await t.resolves(openVolumes(image.disks, unlocking('pass', 'cc75e99c-f23e-4736-a103-c93e194be6c2')))
  await t.rejects(openVolumes(image.disks, unlocking('Pass')), { code: 'GRANARY_WRONG_KEY' })
  await t.rejects(openVolumes(image.disks, unlocking('pass', 'p7')), { code: 'GRANARY_NOT_FOUND' })
  await using swap = await unpack(['swap-whole.raw.zst'])
  await t.rejects(openVolumes(swap.disks, unlocking('pass')), { code: 'GRANARY_UNSUPPORTED' })
})

if (cryptsetupSkip === false) {
  const folder = scratch(t)
  const plain = plainDisk(folder, content)
  const target = join(folder, 'contract.raw')
  encryptByCryptsetup(plain, target, { words: ['--type', 'luks2', '--sector-size', '4096', ...FAST], key: KEY })
  diskReaderContract(
    'an unlocked container',
    async () => {
      const set = await openVolumes([memoryDisk(Uint8Array.from(readFileSync(target)))], unlocking(KEY))
      const disk = set.volumes[1]?.disk as DiskReader
      const all = new Uint8Array(disk.sizeBytes)
      await disk.read(0, all)
      t.equal(Buffer.compare(all.subarray(0, 8 << 20), readFileSync(plain)), 0, 'it is the disk that was encrypted')
      return { disk, content: all }
    },
    { reads: 30 },
  )
}
