/** Servers that lie: the client refuses, allocates nothing for it, and never takes what is not there for data. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import t from 'tap'
import { openImageDisk } from '../../src/imageio/image-disk.ts'
import type { OpenImageDiskOptions } from '../../src/imageio/image-disk.ts'
import { makeCertificates } from './certificates.ts'

const MiB = 1024 * 1024
const folder = mkdtempSync(join(tmpdir(), 'granary-hostile-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const certificates = makeCertificates(folder)

/** What is answered, by the first line of the request. */
type Script = (line: string) => readonly (string | Uint8Array)[]

/** Answers as the script says, byte for byte; ends the connection behind an answer that says `close`. */
const startHostile = async (script: Script): Promise<OpenImageDiskOptions & { close: () => Promise<void> }> => {
  const server = createServer({ key: certificates.key, cert: certificates.cert }, socket => {
    let text = ''
    socket.on('error', () => undefined)
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end)
        text = text.slice(end + 4)
        const range = /range: bytes=(\S+)/i.exec(head)?.[1] ?? ''
        for (const piece of script(`${head.split(' HTTP')[0]} ${range}`.trim())) {
          if (piece === 'close') socket.end()
          else socket.write(piece)
        }
      }
    })
  }).listen(0, 'localhost')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const clock = { sleep: async () => undefined, schedule: () => () => undefined }
  return {
    transferUrl: `https://localhost:${port}/images/x`,
    ca: certificates.ca,
    clock,
    stallTimeoutMs: 2000,
    close: async () => void server.close(),
  }
}

const answer = (
  status: string,
  body: string | Uint8Array,
  headers: readonly string[] = [],
): (string | Uint8Array)[] => [
  [`HTTP/1.1 ${status}`, ...headers, `content-length: ${body.length}`, '', ''].join('\r\n'),
  body,
]
const OPTIONS = answer('200 OK', '{"features":["extents"],"max_readers":8,"max_writers":8}', ['allow: OPTIONS,GET'])
const ranged = (range: string, size: number, body: string): (string | Uint8Array)[] =>
  answer('206 Partial Content', body, [`content-range: bytes ${range}/${size}`])
const SIZE = ranged('0-0', MiB, 'x')

const open =
  (rest: Script): Script =>
  line => {
    if (line.startsWith('OPTIONS')) return OPTIONS
    return line === 'GET /images/x 0-0' ? SIZE : rest(line)
  }

const extentsAnswer = (body: string): Script => open(() => answer('200 OK', body))
const row = (start: number, length: number): string => `{"start":${start},"length":${length},"zero":false}`

for (const [name, script, code] of [
  ['options that are no JSON', () => answer('200 OK', '<html>'), 'GRANARY_PROTOCOL'],
  ['options of 10 MB', () => answer('200 OK', 'x'.repeat(10_000_000)), 'GRANARY_PROTOCOL'],
  [
    'a size that is no number',
    (line: string) => (line.startsWith('OPTIONS') ? OPTIONS : answer('206 x', 'x', ['content-range: bytes 0-0/1e99'])),
    'GRANARY_PROTOCOL',
  ],
  [
    'no range where one was asked for',
    (line: string) => (line.startsWith('OPTIONS') ? OPTIONS : answer('200 OK', 'x')),
    'GRANARY_PROTOCOL',
  ],
] as const)
  t.test(`opening: ${name}`, async t => {
    const host = await startHostile(script)
    await t.rejects(openImageDisk(host), { code })
    await host.close()
  })

for (const [name, script, code] of [
  ['another range', open(() => ranged('5-14', MiB, '0123456789')), 'GRANARY_PROTOCOL'],
  ['more than was asked for', open(() => ranged('100-109', MiB, '0123456789ab')), 'GRANARY_PROTOCOL'],
  ['another size', open(() => ranged('100-109', 2 * MiB, '0123456789')), 'GRANARY_SIZE'],
  ['less, again and again', open(() => ranged('100-109', MiB, '')), 'GRANARY_IO'],
  [
    'a length that never comes',
    open(() => ['HTTP/1.1 206 x\r\ncontent-length: 10\r\ncontent-range: bytes 100-109/1048576\r\n\r\n012', 'close']),
    // From byte 103 on the answer is about another range than asked for.
    'GRANARY_PROTOCOL',
  ],
  ['no HTTP', open(() => ['SSH-2.0-OpenSSH\r\n\r\n', 'close']), 'GRANARY_IO'],
  ['a header of 1 MB', open(() => [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(MiB)}\r\n\r\n`]), 'GRANARY_IO'],
  ['an endless error', open(() => ['HTTP/1.1 500 x\r\n\r\n', 'x'.repeat(100_000)]), 'GRANARY_PROTOCOL'],
] as const)
  t.test(`reading: ${name}`, async t => {
    const host = await startHostile(script)
    const image = await openImageDisk(host)
    await t.rejects(image.read(100, new Uint8Array(10)), { code })
    await image[Symbol.asyncDispose]()
    await host.close()
  })

t.test('reading: a server that falls silent midway is asked again, from there', async t => {
  const asked: string[] = []
  const host = await startHostile(
    open(line => {
      asked.push(line)
      if (asked.length > 1) return ranged('104-109', MiB, '456789')
      return ['HTTP/1.1 206 x\r\ncontent-length: 10\r\ncontent-range: bytes 100-109/1048576\r\n\r\n0123']
    }),
  )
  const image = await openImageDisk({ ...host, stallTimeoutMs: 500 })
  const target = new Uint8Array(10)
  await image.read(100, target)
  t.equal(Buffer.from(target).toString(), '0123456789')
  // On a busy machine an answer may be late as well: it is asked again for the same.
  t.same([...new Set(asked)], ['GET /images/x 100-109', 'GET /images/x 104-109'])
  await image[Symbol.asyncDispose]()
  await host.close()
})

for (const [name, body] of [
  ['a gap', `[${row(0, 10)},${row(20, MiB - 20)}]`],
  ['an overlap', `[${row(0, 10)},${row(5, MiB - 5)}]`],
  ['a missing end', `[${row(0, 10)}]`],
  ['more than the image', `[${row(0, 2 * MiB)}]`],
  ['a length of 0', `[${row(0, 0)},${row(0, MiB)}]`],
  ['a negative length', `[${row(0, -1)}]`],
  ['nothing', '[]'],
  ['10 MB of blanks', `[${' '.repeat(10_000_000)}`],
] as const)
  t.test(`extents: ${name}`, async t => {
    const host = await startHostile(extentsAnswer(body))
    const image = await openImageDisk(host)
    const list = async (): Promise<void> => {
      for await (const _ of image.extents());
    }
    await t.rejects(list(), { code: 'GRANARY_PROTOCOL' })
    await image[Symbol.asyncDispose]()
    await host.close()
  })

t.test('an image without the feature is all data', async t => {
  const script = open(line => ranged(line.split(' ')[2] ?? '', MiB, ''))
  const host = await startHostile(line => (line.startsWith('OPTIONS') ? answer('204 No Content', '') : script(line)))
  const image = await openImageDisk(host)
  for await (const extent of image.extents()) t.same(extent, { offset: 0, length: MiB, kind: 'data' })
  await image[Symbol.asyncDispose]()
  await host.close()
})

t.test('dirty extents of an old daemon are joined with its zeros', async t => {
  const dirty = `[{"start":0,"length":65536,"dirty":true},{"start":65536,"length":${MiB - 65_536},"dirty":false}]`
  const zero = `[{"start":0,"length":32768,"zero":true,"hole":false},${row(32_768, MiB - 32_768)}]`
  const host = await startHostile(open(line => answer('200 OK', line.includes('dirty') ? dirty : zero)))
  const image = await openImageDisk({ ...host, isDirty: true })
  const extents = []
  for await (const extent of image.extents()) extents.push(extent)
  t.same(extents, [
    { offset: 0, length: 32_768, kind: 'zero', dirty: true },
    { offset: 32_768, length: 32_768, kind: 'data', dirty: true },
    { offset: 65_536, length: MiB - 65_536, kind: 'data', dirty: false },
  ])
  await image[Symbol.asyncDispose]()
  await host.close()
})
