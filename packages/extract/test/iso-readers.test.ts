/** Images as other programs read them: whole trees, compared. */
import { mkdtempSync, openSync, closeSync, writeSync, ftruncateSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isZero } from '@granary/core'
import { planIso } from '@granary/extract'
import type { IsoEntry, IsoImage } from '@granary/extract'
import { projectPath } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { program, whyNo } from './helpers/programs.ts'
import { namesOf, randomFiles, statOf, textEntry } from './helpers/random-files.ts'
import { differences, seenInFolder, seenInTar } from './helpers/seen.ts'
import type { Seen, SeenFile } from './helpers/seen.ts'

const SEEDS = process.env['GRANARY_TEST_LONG'] === undefined ? [1, 2] : Array.from({ length: 20 }, (_, i) => i + 1)

const makeImage = async (
  t: Test,
  entries: readonly IsoEntry[],
): Promise<{ path: string; image: IsoImage; folder: string }> => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-iso-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'image.iso')
  const image = await planIso(entries, { volumeId: 'files of web' })
  const file = openSync(path, 'w')
  let at = 0
  for await (const piece of image.write()) {
    if (!isZero(piece)) writeSync(file, piece, 0, piece.length, at)
    at += piece.length
  }
  ftruncateSync(file, at)
  closeSync(file)
  t.equal(at, image.sizeBytes, 'as long as was said')
  return { path, image, folder }
}

/** The list of changed names isn't among the files that were given. */
const withoutList = (seen: Seen): Seen => new Map([...seen].filter(([name]) => !name.startsWith('GRANARY-NAMES')))

/** As xorriso restores links: without owner and time, and without what says nothing in a target. */
const asRestored = (seen: Seen): Seen =>
  new Map(
    [...seen].map(([name, file]) => {
      if (file.target === undefined) return [name, file]
      return [name, { type: file.type, target: file.target.replaceAll(/\/(\.?\/)+/g, '/') }]
    }),
  )

t.setTimeout(600_000)

t.test(
  'xorriso sees every file with Rock Ridge',
  { skip: whyNo('xorriso') || (process.getuid?.() !== 0 && 'only root may give files away') },
  async t => {
    for (const seed of SEEDS) {
      const { entries, expected } = randomFiles({ seed, count: 250 })
      const { path, image, folder } = await makeImage(t, entries)
      t.strictSame(image.errors, [])
      await program('xorriso', '-osirrox', 'device_files', '-indev', path, '-extract', '/', join(folder, 'out'))
      const found = withoutList(seenInFolder(join(folder, 'out')))
      t.strictSame(differences(asRestored(found), asRestored(expected)), [], `${expected.size} files`)
    }
  },
)

t.test('7-Zip sees every file in UDF', { skip: whyNo('7z') }, async t => {
  for (const seed of SEEDS) {
    const { entries, expected } = randomFiles({ seed: seed + 100, count: 250, plain: true, maxNameUnits: 120 })
    const { path, folder } = await makeImage(t, entries)
    t.match(await program('7z', 't', '-tudf', path), /Everything is Ok/)
    await program('7z', 'x', '-tudf', `-o${join(folder, 'out')}`, path)
    const found = withoutList(seenInFolder(join(folder, 'out')))
    const known = [...expected].map(
      ([name, { type, seconds, sizeBytes, sha256 }]) =>
        [name, { type, ...(type === 'dir' ? {} : { seconds, sizeBytes, sha256 }) }] as const,
    )
    t.strictSame(differences(found, new Map<string, SeenFile>(known)), [], `${expected.size} files`)
  }
})

t.test('isoinfo lists the names of Joliet, shortened and unique', { skip: whyNo('isoinfo') }, async t => {
  const stem = 'ж'.repeat(70)
  const { path } = await makeImage(t, [
    textEntry('Plain.txt', '1'),
    textEntry('plain.TXT', '2'),
    textEntry('папка/а*б?.txt', '3'),
    textEntry(`${stem}1.txt`, '4'),
    textEntry(`${stem}2.txt`, '5'),
  ])
  // isoinfo shows them in old code pages only.
  const listed = Buffer.from(await program('isoinfo', '-J', '-f', '-j', 'koi8-r', '-i', path), 'latin1')
  t.strictSame(new TextDecoder('koi8-r').decode(listed).trim().split('\n').sort(), [
    '/GRANARY-NAMES.txt;1',
    '/Plain.txt;1',
    '/plain~1.TXT;1',
    `/${'ж'.repeat(53)}~1.txt;1`,
    `/${'ж'.repeat(53)}~2.txt;1`,
    '/папка',
    '/папка/а_б_.txt;1',
  ])
})

const LARGE_BYTES = 4.5 * 2 ** 30 + 5
const zeros = new Uint8Array(2 ** 20)
const large: IsoEntry = {
  path: namesOf('large.bin'),
  stat: statOf('file', { sizeBytes: LARGE_BYTES }),
  open: async () => ({
    sizeBytes: LARGE_BYTES,
    async *read() {
      for (let at = 0; at + zeros.length < LARGE_BYTES; at += zeros.length) yield zeros
      yield Buffer.from('ended')
    },
  }),
}

t.test('a file of more than 4 GiB is one file', { skip: whyNo('xorriso', '7z', 'isoinfo') }, async t => {
  const { path, image } = await makeImage(t, [large, textEntry('after.txt', 'small')])
  t.strictSame(image.errors, [])
  t.match(
    await program('xorriso', '-indev', path, '-find', '/large.bin', '-exec', 'lsdl', '--'),
    new RegExp(` ${LARGE_BYTES} `),
  )
  t.match(await program('7z', 'l', '-tudf', path), new RegExp(` ${LARGE_BYTES} .*large.bin`))
  t.match(await program('7z', 'l', '-tiso', path), new RegExp(` ${LARGE_BYTES} .*large.bin`))
  t.match(await program('isoinfo', '-R', '-l', '-i', path), /large\.bin/)
})

const whyNoLinux = (): string | false => {
  if (process.env['GRANARY_TEST_LONG'] === undefined) return 'needs GRANARY_TEST_LONG: it fetches a kernel and boots it'
  return whyNo('qemu-system-x86_64', 'busybox', 'cpio', 'apt-get')
}

const linuxView = async (image: string, out: string): Promise<string> =>
  await program('bash', projectPath('packages', 'extract', 'test', 'helpers', 'linux-view.sh'), image, out)

t.test('Linux sees every file with its drivers for UDF and ISO 9660', { skip: whyNoLinux() }, async t => {
  const out = mkdtempSync(join(tmpdir(), 'granary-iso-'))
  t.teardown(() => rmSync(out, { recursive: true, force: true }))
  for (const seed of [1, 2, 3]) {
    const { entries, expected } = randomFiles({ seed: seed + 200, count: 150, maxNameUnits: 100 })
    const { path } = await makeImage(t, entries)
    t.match(await linuxView(path, out), /vdb OK\n.*vdc OK\n.*vdd OK/)
    const rockRidge = withoutList(await seenInTar(join(out, 'rockridge.tar')))
    t.strictSame(differences(rockRidge, withoutTargets(expected)), [], 'Rock Ridge')
    const shown = new Map([...expected].filter(([name, file]) => isInUdf(name, file)))
    const udf = new Map([...withoutList(await seenInTar(join(out, 'udf.tar')))].filter(([name]) => shown.has(name)))
    t.strictSame(differences(udf, withoutTargets(shown)), [], 'UDF')
  }
  const { path } = await makeImage(t, [large])
  t.strictSame(
    (await linuxView(path, out)).match(/VIEW.*/g),
    ['b', 'c', 'd'].map(letter => `VIEW /dev/vd${letter} ${LARGE_BYTES} ended`),
  )
})

/** UDF has no special files, no names of other bytes, and no links with a name of 255 bytes in their target. */
const isInUdf = (name: string, { type, target = '' }: SeenFile): boolean =>
  type !== 'special' && isText(name) && !target.includes('q'.repeat(255))

const isText = (name: string): boolean => !Buffer.from(name, 'latin1').toString().includes('\ufffd')

/** Modes of links are not kept by tar, and what says nothing in their targets not by an image. */
const withoutTargets = (seen: Seen): Seen =>
  new Map(
    [...seen].map(([name, { mode, target, ...file }]) => [
      name,
      target === undefined ? { ...file, ...(mode === undefined ? {} : { mode }) } : file,
    ]),
  )
