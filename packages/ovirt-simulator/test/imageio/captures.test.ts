/** The simulated imageio answers every recorded exchange with a real daemon alike. CONTRACT §6, §14 */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createRawDisk } from '@granary/core'
import type { DiskReader, DiskWriter, Extent } from '@granary/core'
import { sharedPath } from '@granary/testing'
import { createVirtualClock } from '../../src/clock/virtual-clock.ts'
import { createAuthority } from '../../src/pki/authority.ts'
import type { OpenBackend } from '../../src/imageio/backend.ts'
import { startImageio } from '../../src/imageio/daemon.ts'
import { openBackendByUrl } from '../../src/imageio/open-backend.ts'
import { SimulatedDisk } from '../../src/volumes/simulated-disk.ts'
import { StorageSpace } from '../../src/volumes/storage-space.ts'
import { readCapture, withoutDate } from './captures.ts'
import type { Capture } from './captures.ts'
import { rawConnect, rawExchange, readAnswer, writeRequest } from './raw-http.ts'
import type { RawAnswer } from './raw-http.ts'

const KiB64 = 65_536
const IMAGE_BYTES = 8 * 1024 * 1024
const captures = sharedPath('ovirt', 'imageio-captures')
const folder = mkdtempSync(join(tmpdir(), 'granary-captures-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
process.chdir(folder) // The recorded socket names are relative.
const authority = createAuthority('test')
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, authority.cert)
const clock = createVirtualClock({ startMs: 17_180_374_000 }) // About the recording's own monotonic time.

/** Holes told as zeros, as `qemu-nbd` does without `--allocation-depth`. */
const withoutHoles = (disk: DiskReader & DiskWriter): DiskReader & DiskWriter => ({
  ...disk,
  async *extents(options) {
    for await (const extent of disk.extents(options))
      yield { ...extent, kind: extent.kind === 'hole' ? 'zero' : extent.kind }
  },
})

/** An image that says of itself what the recorded one said: `d` data, `z` zeros, `h` hole, capitals dirty; lengths in 64 KiB. */
const scripted = (runs: string, fill: number): DiskReader => {
  const extents: Extent[] = []
  const bytes = new Uint8Array(IMAGE_BYTES)
  let offset = 0
  for (const run of runs.split(' ')) {
    const letter = run[0] as string
    const length = Number(run.slice(1)) * KiB64
    const kind = { d: 'data', z: 'zero', h: 'hole' }[letter.toLowerCase()] as Extent['kind']
    extents.push({ offset, length, kind, dirty: letter !== letter.toLowerCase() })
    if (kind === 'data') bytes.fill(fill, offset, offset + length)
    offset += length
  }
  return {
    sizeBytes: IMAGE_BYTES,
    blockBytes: 512,
    read: async (at, target) => target.set(bytes.subarray(at, at + target.length)),
    async *extents() {
      yield* extents
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

const space = new StorageSpace({ name: 'nfs', kind: 'file', capacityBytes: 2 ** 30 })
const newUpload = async (): Promise<DiskReader & DiskWriter> => {
  const options = { folder: join(folder, 'up'), volumeId: 'up', sizeBytes: IMAGE_BYTES, format: 'cow', space } as const
  return withoutHoles((await SimulatedDisk.create(options)).open())
}

/** The images of the recording, by the URL of their tickets. */
const images = async (): Promise<OpenBackend> => {
  const upload = await newUpload()
  let isChainDown = false
  const byUrl = openBackendByUrl({ caFile })
  const chain = scripted('d2 h30 z1 d1 h94', 0x63)
  const nbd: Readonly<Record<string, DiskReader>> = {
    'img/chain.sock:exportname=': {
      ...chain,
      read: async (offset, target) => {
        if (isChainDown) throw new Error('the NBD server is gone')
        await chain.read(offset, target)
      },
    },
    'img/shallow.sock': scripted('h1 d1 h30 z1 h95', 0x73),
    'img/cbt.sock': scripted('d2 D1 d5 Z1 d7 z48 D1 z63', 0x70),
    'img/up.sock': upload,
  }
  stopChain = () => {
    isChainDown = true
  }
  return async (url, options) => {
    const disk = nbd[url.replace(/^nbd:unix:/, '')]
    return disk === undefined ? await byUrl(url, options) : { disk, kind: 'nbd' }
  }
}
let stopChain = (): void => undefined

const makeFile = async (name: string, sizeBytes: number): Promise<void> => {
  const file = await createRawDisk(join(folder, 'img', name), sizeBytes)
  if (name === 'disk.raw') {
    // Found by the recorded checksums.
    await file.write(0, new Uint8Array(KiB64).fill(0x41))
    await file.write(16 * KiB64, new Uint8Array(KiB64).fill(0x42))
  }
  await file[Symbol.asyncDispose]()
}

type Tap = Pick<typeof t, 'same' | 'equal'>

/** What differs from run to run. */
const steady = (body: Buffer): string => body.toString('latin1').replace(/"expires": \d+/, '"expires": 0')

t.test(
  '§6 §14 recorded exchanges',
  { skip: captures === undefined ? 'no ../shared/ovirt/imageio-captures' : false },
  async t => {
    mkdirSync('img')
    await makeFile('disk.raw', IMAGE_BYTES)
    await makeFile('big.raw', 512 * 1024 * 1024)
    await makeFile('zero.raw', 256 * 1024 * 1024)
    const daemon = await startImageio({
      clock,
      certificate: authority.issue({ names: ['localhost', '127.0.0.1'] }),
      localSocket: 'images.sock',
      controlSocket: 'control.sock',
      openBackend: await images(),
      removeTimeoutMs: 2000, // As in the recording.
    })
    t.teardown(() => daemon[Symbol.asyncDispose]())
    const remote = { port: daemon.port, ca: authority.cert }
    const services = { remote, local: { path: 'images.sock' }, control: { path: 'control.sock' } }
    const left = new Set(readdirSync(captures as string))

    const seen = (name: string): string => {
      left.delete(name)
      return readFileSync(join(captures as string, name), 'latin1')
    }
    const compare = (t: Tap, capture: Capture, answer: RawAnswer): void => {
      t.same(withoutDate(answer.head), withoutDate(capture.head), `${capture.name}: header`)
      if (capture.body !== undefined && capture.request.method !== 'HEAD')
        t.equal(steady(answer.body), steady(capture.body), `${capture.name}: body`)
    }
    /** Replays those whose names begin so, in order. */
    const replay = async (t: Tap, ...prefixes: string[]): Promise<void> => {
      for (const prefix of prefixes)
        for (const name of [...left].toSorted().filter(name => name.startsWith(prefix))) {
          const capture = readCapture(captures as string, name)
          if (capture === undefined) continue
          left.delete(name)
          compare(t, capture, await rawExchange(services[capture.service], capture.request))
        }
    }
    const add = (ticket: object): void =>
      daemon.addTicket({ timeout: 300, ops: ['read'], size: IMAGE_BYTES, ...ticket })

    await t.test('§6.9 tickets: PUT, what is wrong with them, GET', async t => {
      await replay(t, 'c0')
      add({ uuid: 'short', ops: ['read', 'write'], timeout: 1, url: 'file://img/disk.raw' })
    })
    for (const [what, ...prefixes] of [
      ['§6.9 tickets: PATCH', 'c10'],
      ['§6.1 OPTIONS, and the release', 'r0'],
      ['§6.5 extents', 'r1'],
      ['§6.2 GET, and its ranges', 'r2'],
      ['§6.3 PUT', 'r3'],
      ['§6.4 PATCH', 'r4'],
      ['§6.6 checksums, §6.7 what there is not', 'r5'],
    ] as const)
      await t.test(what, async t => {
        const before = left.size
        await replay(t, ...prefixes)
        t.ok(left.size < before)
      })

    await t.test('§6.2 r60: three requests on one connection', async t => {
      const socket = await rawConnect(remote)
      const expected = seen('r60-keepalive.txt').split(/(?=HTTP\/1\.1 )/)
      const requests = [
        { method: 'GET', path: '/images/raw', headers: ['Range: bytes=0-3'] },
        { method: 'OPTIONS', path: '/images/raw' },
        { method: 'PATCH', path: '/images/raw', body: Buffer.from('{"op":"flush"}') },
      ]
      for (const [at, request] of requests.entries()) {
        writeRequest(socket, request)
        const { head, body } = await readAnswer(socket, request.method)
        const text = `${[...withoutDate(head), '', ''].join('\r\n')}${body.toString('latin1')}`
        const unsized = (all = ''): string =>
          all
            .replace(/date: .*\r\n/, '')
            .replace(/content-length: 1\d\d/, '')
            .trimEnd()
        t.equal(unsized(text), unsized(expected[at]))
      }
      socket.destroy()
    })

    await t.test(
      '§5.7 §6.7 §6.9 the local socket, expiry, extension, proxy, removal, a backend that is gone',
      async t => {
        await replay(t, 'u0')
        await rawExchange(services.local, { method: 'OPTIONS', path: '/images/cbt' })
        await clock.advance(65_000)
        await replay(t, 'r70', 'c20', 'r71', 'c21')
        add({ uuid: 'px', url: daemon.urlOf('cbt') })
        add({ uuid: 'px2', url: daemon.urlOf('cbt'), dirty: true })
        await replay(t, 'p0', 'c22', 'c23', 'r72')
        stopChain()
        await replay(t, 'r73')
      },
    )

    await t.test('§5.4 §6.9 a slow client holds a ticket that is to be removed', async t => {
      const big = { size: 536_870_912, url: 'file://img/big.raw' }
      add({ ...big, uuid: 'big', transfer_id: '22222222-0000-0000-0000-000000000001', inactivity_timeout: 3 })
      const socket = await rawConnect(remote)
      const head = seen('r81-slow-client-result.txt')
      writeRequest(socket, { method: 'GET', path: '/images/big' })
      await once(socket, 'readable')
      t.match(head, withoutDate(socket.read().toString('latin1').split('\r\n\r\n')[0].split('\r\n')).at(0))
      const slow = socket as Socket & { readableLength: number }
      slow.pause()
      // Until no more goes into the buffers between here and there.
      for (let unchanged = 0, seen: unknown; unchanged < 50;) {
        await rawExchange(services.control, { method: 'GET', path: '/tickets/big' })
        const now = daemon.ticketInfo('big')?.['transferred']
        unchanged = now === seen ? unchanged + 1 : 0
        seen = now
      }
      const active = readCapture(captures as string, 'c30-ticket-get-active.txt') as Capture
      left.delete(active.name)
      const info = JSON.parse((await rawExchange(services.control, active.request)).body.toString())
      // How much of a range under way counts depends on the buffer: nothing yet with the 8 MiB of the real one.
      t.match({ ...info, expires: 0, transferred: 0 }, { ...JSON.parse(String(active.body)), expires: 0 })
      t.ok(info.transferred < 16 * 1024 * 1024)
      const removal = rawExchange(services.control, { method: 'DELETE', path: '/tickets/big' })
      const capture = readCapture(captures as string, 'c31-ticket-delete-409.txt') as Capture
      left.delete(capture.name)
      const waiting = clock.sleep(2000)
      compare(t, capture, await removal)
      await waiting
      await clock.advance(1500)
      await once(socket.resume(), 'close')
      await replay(t, 'c32', 'r80', 'c33')
    })

    await t.test('§6.8 r82: an idle connection is closed after the inactivity timeout of its ticket', async t => {
      seen('r82-idle.txt')
      add({ uuid: 'idle', size: 536_870_912, url: 'file://img/big.raw', inactivity_timeout: 17 })
      const socket = await rawConnect(remote)
      writeRequest(socket, { method: 'GET', path: '/images/idle', headers: ['Range: bytes=0-3'] })
      t.equal((await readAnswer(socket, 'GET')).status, 206)
      let isClosed = false
      socket.once('close', () => {
        isClosed = true
      })
      await clock.advance(16_500)
      await new Promise(resolve => setImmediate(resolve))
      t.notOk(isClosed)
      socket.resume()
      await Promise.all([once(socket, 'close'), clock.advance(1000)])
    })

    await t.test('§6.1 r83, c34, c35: ten connections at once, though eight are recommended', async t => {
      const expected = seen('r83-parallel-10.txt').trim().split('\n')
      add({ uuid: 'par', size: 536_870_912, url: 'file://img/big.raw' })
      const bytes = 8 * 1024 * 1024
      const sockets = await Promise.all(expected.map(() => rawConnect(remote)))
      const answers = await Promise.all(
        sockets.map(async (socket, i) => {
          const headers = [`Range: bytes=${i * bytes}-${(i + 1) * bytes - 1}`]
          writeRequest(socket, { method: 'GET', path: '/images/par', headers })
          return await readAnswer(socket, 'GET')
        }),
      )
      t.same(
        answers.map((answer, i) => `conn${i} ${answer.status} ${answer.body.length}`).toSorted(),
        expected.toSorted(),
      )
      // The instant of c34 cannot be met again; what it counts can.
      const recorded = readCapture(captures as string, 'c34-ticket-get-parallel.txt') as Capture
      left.delete(recorded.name)
      const now = await rawExchange(services.control, { method: 'GET', path: '/tickets/par' })
      t.match(JSON.parse(now.body.toString()), { connections: 10, transferred: 10 * bytes })
      t.same(Object.keys(JSON.parse(now.body.toString())), Object.keys(JSON.parse(String(recorded.body))))
      for (const socket of sockets) socket.destroy()
      while (daemon.ticketInfo('par')?.['connections'] !== 0) await new Promise(resolve => setImmediate(resolve))
      await clock.advance(1000)
      await replay(t, 'c35')
    })

    await t.test('§6.3 r84, r85: of an upload that breaks off, what has come is written', async t => {
      seen('r84-put-truncated.txt')
      const socket = await rawConnect(remote)
      socket.write('PUT /images/up?flush=n HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc')
      socket.end()
      await once(socket.resume(), 'close')
      const answer = await rawExchange(remote, { method: 'GET', path: '/images/up', headers: ['Range: bytes=0-7'] })
      t.equal(answer.body.toString('latin1'), seen('r85-after-truncated.txt').split('\n')[1])
      await replay(t, 'r86', 'r87')
    })

    await t.test('§5.5: an inactivity timeout of 0 cuts large answers and drops idle connections', async t => {
      add({ uuid: 'zero', ops: ['read', 'write'], size: 2 ** 28, url: 'file://img/zero.raw', inactivity_timeout: 0 })
      await replay(t, 'r90', 'r92')
      seen('r91-inactivity0-keepalive.txt')
      const socket = await rawConnect(remote)
      writeRequest(socket, { method: 'OPTIONS', path: '/images/zero' })
      t.equal((await readAnswer(socket, 'OPTIONS')).status, 200)
      await once(socket.resume(), 'close')
      seen('r93-inactivity0-get.txt')
      const cut = await rawExchange(remote, { method: 'GET', path: '/images/zero' })
      t.equal(cut.status, 200)
      t.ok(cut.body.length < 2 ** 28, `cut after ${cut.body.length}`)
    })

    t.same(
      [...left],
      ['d90-daemon-log-warnings.txt', 'd91-daemon-log-inactivity0.txt'],
      'all but the logs were replayed',
    )
  },
)
