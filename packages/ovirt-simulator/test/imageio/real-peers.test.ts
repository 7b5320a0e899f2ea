/** The simulated imageio between real peers: qemu-nbd behind it as vdsm starts it, and the real client before it. CONTRACT §6.10, §6.11 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { projectPath, seededBytes, untilListening } from '@granary/testing'
import t from 'tap'
import { createRealClock } from '../../src/clock/real-clock.ts'
import { startImageio } from '../../src/imageio/daemon.ts'
import { openBackendByUrl } from '../../src/imageio/open-backend.ts'
import type { ImageBackend } from '../../src/imageio/backend.ts'
import { createAuthority } from '../../src/pki/authority.ts'
import { differencesFrom } from '../../src/volumes/oracle.ts'
import { SimulatedDisk } from '../../src/volumes/simulated-disk.ts'
import { StorageSpace } from '../../src/volumes/storage-space.ts'
import { memoryDisk } from '@granary/core'

t.setTimeout(120_000)

const MIB = 1024 * 1024
const KIB64 = 65_536
const folder = mkdtempSync(join(tmpdir(), 'granary-real-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string): string => join(folder, name)
const qemu = (program: string, ...words: readonly string[]): void => void execFileSync(program, words, { cwd: folder })

const noQemu = spawnSync('qemu-nbd', ['--version']).error === undefined ? false : 'needs qemu-nbd'
const python = projectPath('.venv', 'bin', 'python')
const hasClient = existsSync(python) && spawnSync(python, ['-c', 'import ovirt_imageio.client']).status === 0
const noClient = hasClient ? noQemu : 'ovirt-imageio is not installed: pip install it into .venv'

t.test('§6.10 qemu-nbd as vdsm starts it: holes by depth, zeros, and what is dirty', { skip: noQemu }, async t => {
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', 'disk.qcow2', '4M')
  qemu('qemu-io', '-f', 'qcow2', '-c', 'write -P 65 0 64k', '-c', 'write -z 1M 64k', 'disk.qcow2')
  qemu('qemu-img', 'bitmap', '--add', '-f', 'qcow2', 'disk.qcow2', 'checkpoint')
  qemu('qemu-io', '-f', 'qcow2', '-c', 'write -P 66 2M 64k', '-c', 'write -z 3M 64k', 'disk.qcow2')
  const common = ['--persistent', '--shared=8', '--export-name=sda', '--cache=writeback', '--format=qcow2']
  const download = ['--read-only', '--allocation-depth', '--bitmap=checkpoint']
  const server = spawn('qemu-nbd', [...common, ...download, `--socket=${at('nbd.sock')}`, at('disk.qcow2')])
  t.teardown(async () => {
    server.kill()
    await once(server, 'exit')
  })
  await untilListening({ path: at('nbd.sock') })
  const url = `nbd:unix:${at('nbd.sock')}:exportname=sda`
  const open = openBackendByUrl({ bitmap: 'checkpoint' })
  const listed = async (isDirty: boolean): Promise<string[]> => {
    await using disk = (await open(url, { isWritable: false, isDirty })).disk
    const shown: string[] = []
    for await (const { offset, kind, dirty, present } of disk.extents()) {
      const content = kind === 'hole' && present === true ? 'zero' : kind
      shown.push(`${offset / KIB64} ${content}${isDirty ? ` ${dirty === true ? 'dirty' : 'clean'}` : ''}`)
    }
    return shown
  }
  t.same(await listed(false), ['0 data', '1 hole', '16 zero', '17 hole', '32 data', '33 hole', '48 zero', '49 hole'])
  t.same(
    (await listed(true)).filter(row => row.endsWith(' dirty')),
    ['32 data dirty', '48 zero dirty'],
    'bit 0 of the context of the bitmap',
  )
})

/** Runs the real client. */
const client = async (statement: string, ...words: readonly string[]): Promise<string> => {
  const script = `import sys\nfrom ovirt_imageio import client\n${statement}`
  const child = spawn(python, ['-c', script, ...words], { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder })
  const [output, complaints] = await Promise.all([text(child.stdout), text(child.stderr)])
  return output + complaints
}

t.test(
  '§6.11 the real client: an upload, a full download, and an incremental one on top of it',
  { skip: noClient },
  async t => {
    const authority = createAuthority('test')
    writeFileSync(at('ca.pem'), authority.cert)
    const images = new Map<string, ImageBackend>()
    await using clock = createRealClock()
    await using daemon = await startImageio({
      clock,
      certificate: authority.issue({ names: ['localhost'] }),
      openBackend: async url => images.get(url) as ImageBackend,
    })
    const serve = (name: string, backend: ImageBackend, fields: object): string => {
      images.set(`nbd:unix:/${name}`, backend)
      const ticket = { uuid: name, url: `nbd:unix:/${name}`, size: 8 * MIB, ops: ['read'], timeout: 300, sparse: true }
      daemon.addTicket({ ...ticket, ...fields })
      return daemon.urlOf(name)
    }
    const space = new StorageSpace({ name: 'nfs', kind: 'file', capacityBytes: 2 ** 30 })
    await using disk = await SimulatedDisk.create({
      folder: at('disk'),
      volumeId: 'a',
      sizeBytes: 8 * MIB,
      format: 'cow',
      space,
    })

    const content = new Uint8Array(8 * MIB)
    content.set(seededBytes(MIB, 1), 0)
    content.set(seededBytes(100_000, 2), 5 * MIB)
    writeFileSync(at('local.raw'), content)
    const up = serve('up', { disk: disk.open(), kind: 'nbd' }, { ops: ['write'] })
    qemu('qemu-img', 'convert', '-O', 'qcow2', 'local.raw', 'local.qcow2') // It knows where the zeros are.
    t.equal(await client('client.upload(sys.argv[1], sys.argv[2], "ca.pem", disk_is_zero=True)', 'local.qcow2', up), '')
    t.same(await differencesFrom(await disk.record(), memoryDisk(content)), [])
    t.ok(disk.allocatedBytes < 2 * MIB, 'zeros were not written')

    const full = await disk.freeze({ mode: 'live', volumeId: 's1', checkpointId: 'first' })
    const first = serve('full', { disk: full, kind: 'nbd' }, {})
    t.equal(await client('client.download(sys.argv[1], sys.argv[2], "ca.pem")', first, 'full.qcow2'), '')
    await full[Symbol.asyncDispose]()

    await disk.guestWrite(3 * MIB, seededBytes(KIB64, 3))
    await disk.guestZero(0, KIB64)
    const since = await disk.freeze({ mode: 'live', volumeId: 's2', since: 'first' })
    const second = serve('since', { disk: since, kind: 'nbd' }, { dirty: true })
    const incremental =
      'client.download(sys.argv[1], sys.argv[2], "ca.pem", incremental=True, backing_file="full.qcow2", backing_format="qcow2")'
    t.equal(await client(incremental, second, 'since.qcow2'), '')
    qemu('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', 'since.qcow2', 'restored.raw')
    t.same(await differencesFrom(since.record, memoryDisk(readFileSync(at('restored.raw')))), [])
    t.equal(daemon.ticketInfo('since')?.['transferred'], KIB64, 'only what is dirty and no zeros was read')
    await since[Symbol.asyncDispose]()
  },
)
