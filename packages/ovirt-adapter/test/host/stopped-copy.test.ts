/** Stopped VMs: their volumes are found where the platform keeps them, and whoever starts one meanwhile is noticed. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { findVolume, openStoppedCopy, thisHostId } from '../../src/index.ts'

const [DOMAIN, DISK, BASE, TOP] = [1, 2, 3, 4].map(n => `0d5c0a2e-5a86-4d0a-9a52-9b9b6a5f000${n}`) as [
  string,
  string,
  string,
  string,
]
const MiB = 1024 * 1024

const makeDomain = (t: Tap): { root: string; images: string } => {
  const root = mkdtempSync(join(tmpdir(), 'granary-rhev-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const domain = join(root, 'mnt', 'nas.example:_export_a__b', DOMAIN)
  mkdirSync(join(domain, 'dom_md'), { recursive: true })
  mkdirSync(join(root, 'mnt', 'blockSD', DOMAIN, 'dom_md'), { recursive: true })
  const images = join(domain, 'images', DISK)
  mkdirSync(images, { recursive: true })
  return { root, images }
}

type Tap = { teardown: (clean: () => unknown) => void }

t.test('a volume is found by its ids, however the mount is named', async t => {
  const { root, images } = makeDomain(t)
  writeFileSync(join(images, TOP), '')
  const ids = { storageDomain: DOMAIN, disk: DISK, volume: TOP }
  t.equal(await findVolume(ids, { root }), join(images, TOP))
  await t.rejects(findVolume({ ...ids, volume: BASE }, { root }), { code: 'GRANARY_NOT_FOUND', retryable: true })
  await t.rejects(findVolume({ ...ids, storageDomain: TOP }, { root }), { code: 'GRANARY_NOT_FOUND', hint: /engine/ })
  await t.rejects(findVolume({ ...ids, disk: '../../etc' }, { root }), { code: 'GRANARY_INVALID_ARGUMENT' })
})

const noQemu = spawnSync('qemu-img', ['--version']).error === undefined ? false : 'needs qemu-img'

t.test('volumes of a stopped VM are read with what lies below them', { skip: noQemu }, async t => {
  const { images } = makeDomain(t)
  const [base, top] = [join(images, BASE), join(images, TOP)]
  const qemu = (program: string, ...words: readonly string[]): void =>
    void execFileSync(program, words, { cwd: images })
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', base, '8M')
  qemu('qemu-io', '-c', 'write -P 1 0 1M', base)
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', BASE, '-F', 'qcow2', top)
  qemu('qemu-io', '-c', 'write -P 2 1M 1M', top)
  let isDown = true
  const open = async (): ReturnType<typeof openStoppedCopy> =>
    await openStoppedCopy({ volumes: [{ diskId: DISK, path: top, format: 'cow' }], isStillDown: async () => isDown })
  await using copy = await open()
  const bytes = new Uint8Array(3 * MiB)
  await copy.disks[0]?.disk.read(0, bytes)
  t.strictSame([bytes[0], bytes[MiB], bytes[2 * MiB]], [1, 2, 0])
  await t.resolves(copy.verify())

  isDown = false
  await t.rejects(copy.verify(), { code: 'GRANARY_REMOTE', retryable: true })
  isDown = true
  utimesSync(top, 1, 1)
  await t.rejects(copy.verify(), { code: 'GRANARY_REMOTE', message: /was written to/ })
})

t.test('a file that is missing, or of another format, is named', async t => {
  const { images } = makeDomain(t)
  const volumes = [{ diskId: DISK, path: join(images, TOP), format: 'cow' as const }]
  await t.rejects(openStoppedCopy({ volumes, isStillDown: async () => true }), { code: 'GRANARY_NOT_FOUND' })
  writeFileSync(join(images, TOP), 'not an image of any kind'.repeat(1000))
  await t.rejects(openStoppedCopy({ volumes, isStillDown: async () => true }), { code: /GRANARY_/ })
})

t.test('a host knows its id, and another machine that it is none', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-vdsm-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'vdsm.id'), `${DOMAIN}\n`)
  t.equal(await thisHostId(join(folder, 'vdsm.id')), DOMAIN)
  t.equal(await thisHostId(join(folder, 'none')), undefined)
})
