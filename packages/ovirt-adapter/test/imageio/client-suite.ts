/** What the client must do with any imageio daemon. Called for the real one and for ours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Extent } from '@granary/core'
import { diskReaderContract, diskWriterContract, seededBytes } from '@granary/testing'
import { openImageDisk } from '../../src/imageio/image-disk.ts'
import type { OpenImageDiskOptions } from '../../src/imageio/image-disk.ts'
import { openImageUpload } from '../../src/imageio/image-upload.ts'
import { serveImage, whyNoQemu } from './daemons.ts'
import type { ImageRecipe, RunningDaemon, ServedImage, StartDaemon } from './daemons.ts'

const MiB = 1024 * 1024
const KiB64 = 65_536

export const imageioClientSuite = async (name: string, start: StartDaemon, skip: string | false): Promise<void> => {
  const why = whyNoQemu() || skip
  if (why !== false) {
    t.test(`${name}: the client`, { skip: why }, async () => undefined)
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'granary-imageio-suite-'))
  const daemon = await start(folder)
  const images: ServedImage[] = []
  t.teardown(async () => {
    await daemon[Symbol.asyncDispose]()
    for (const image of images) await image[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const peer: Peer = {
    daemon,
    serve: async recipe => {
      const image = await serveImage({ folder, name: `image${images.length}`, isReadOnly: true, ...recipe })
      images.push(image)
      return image
    },
    addTicket: async (image, fields) => {
      const uuid = `${name.replaceAll(/\W/g, '-')}-${++tickets}`
      const ticket = { uuid, url: image.url, ops: ['read'], timeout: 300, inactivity_timeout: 60, ...fields }
      const status = await daemon.control('PUT', uuid, ticket)
      if (status !== 200) throw new Error(`the ticket is answered with ${status}`)
      return uuid
    },
    optionsFor: uuid => ({
      transferUrl: `https://localhost:${daemon.port}/images/${uuid}`,
      ca: daemon.ca,
      isLocalAllowed: false,
    }),
  }
  readingTests(name, peer)
  writingTests(name, peer)
}

let tickets = 0

interface Peer {
  readonly daemon: RunningDaemon
  readonly serve: (
    recipe: Omit<ImageRecipe, 'folder' | 'name' | 'isReadOnly'> & { readonly isReadOnly?: boolean },
  ) => Promise<ServedImage>
  readonly addTicket: (
    image: ServedImage,
    fields: { readonly size: number } & Readonly<Record<string, unknown>>,
  ) => Promise<string>
  readonly optionsFor: (uuid: string) => OpenImageDiskOptions
}

const WRITES = ['write -P 65 0 64k', 'write -P 66 1M 300k', 'write -z 2M 128k', 'write -P 67 4090k 1k']
const SIZE = 4 * MiB
const content = (): Uint8Array => {
  const bytes = new Uint8Array(SIZE)
  bytes.fill(65, 0, KiB64)
  bytes.fill(66, MiB, MiB + 300 * 1024)
  bytes.fill(67, 4090 * 1024, 4091 * 1024)
  return bytes
}

const collect = async (extents: AsyncIterable<Extent>): Promise<Extent[]> => {
  const all: Extent[] = []
  for await (const extent of extents) all.push(extent)
  return all
}

const readingTests = (name: string, { daemon, serve, addTicket, optionsFor }: Peer): void => {
  let served: ServedImage | undefined
  const open = async (): Promise<string> => {
    served ??= await serve({ sizeBytes: SIZE, writes: WRITES })
    return await addTicket(served, { size: SIZE })
  }
  diskReaderContract(
    `${name}, an image`,
    async () => ({ disk: await openImageDisk(optionsFor(await open())), content: content() }),
    { reads: 60 },
  )

  t.test(`${name}: extents tell data, zeros and holes`, async t => {
    const image = await openImageDisk(optionsFor(await open()))
    const kinds = (await collect(image.extents())).map(({ offset, kind }) => [offset / KiB64, kind])
    t.same(kinds, [
      [0, 'data'],
      [1, 'hole'],
      [16, 'data'],
      [21, 'hole'],
      [32, 'zero'],
      [34, 'hole'],
      [63, 'data'],
    ])
    await image[Symbol.asyncDispose]()
  })

  t.test(`${name}: dirty extents, joined with zeros`, async t => {
    const changes = ['write -P 70 128k 64k', 'write -z 1M 64k', 'discard 4032k 64k']
    const changed = await serve({ sizeBytes: SIZE, writes: WRITES, changes })
    const image = await openImageDisk({
      ...optionsFor(await addTicket(changed, { size: SIZE, dirty: true })),
      isDirty: true,
    })
    const dirty = (await collect(image.extents())).filter(extent => extent.dirty !== false)
    t.same(
      dirty.map(({ offset, length, kind }) => [offset / KiB64, length / KiB64, kind]),
      [
        [2, 1, 'data'],
        [16, 1, 'zero'],
        [63, 1, 'zero'],
      ],
    )
    await image[Symbol.asyncDispose]()
    const plain = await addTicket(changed, { size: SIZE })
    await t.rejects(openImageDisk({ ...optionsFor(plain), isDirty: true }), { code: 'GRANARY_UNSUPPORTED' })
  })

  t.test(`${name}: over the local socket`, async t => {
    const image = await openImageDisk({ ...optionsFor(await open()), isLocalAllowed: true })
    t.equal(image.way, 'local')
    const bytes = new Uint8Array(SIZE)
    await image.read(0, bytes)
    t.equal(Buffer.compare(bytes, content()), 0)
    await image[Symbol.asyncDispose]()
  })

  t.test(`${name}: a ticket that is removed`, async t => {
    const id = await open()
    const image = await openImageDisk(optionsFor(id))
    await image.read(0, new Uint8Array(10))
    t.equal(await daemon.control('DELETE', id), 204)
    await t.rejects(image.read(0, new Uint8Array(10)), { code: 'GRANARY_PERMISSION' })
    await image[Symbol.asyncDispose]()
    await t.rejects(openImageDisk({ ...optionsFor(id) }), { code: 'GRANARY_PERMISSION' })
  })
}

const writingTests = (name: string, { serve, addTicket, optionsFor }: Peer): void => {
  const write = { ops: ['write'], sparse: true }
  diskWriterContract(
    `${name}, an upload`,
    async sizeBytes => {
      const served = await serve({ sizeBytes, isReadOnly: false })
      const id = await addTicket(served, { size: sizeBytes, ...write })
      return { disk: await openImageUpload({ ...optionsFor(id), readsZero: true }), readBack: () => served.readBack() }
    },
    { operations: 60 },
  )

  t.test(`${name}: what the server does not have any more is said, and what is to be sent again`, async t => {
    const served = await serve({ sizeBytes: SIZE, isReadOnly: false })
    const id = await addTicket(served, { size: SIZE, ...write })
    const sleep = async (): Promise<void> => undefined
    const clock = { sleep, schedule: () => () => undefined }
    const upload = await openImageUpload({ ...optionsFor(id), clock })
    await upload.write(0, seededBytes(MiB, 1))
    await upload.flush()
    await upload.write(MiB, seededBytes(MiB, 2))
    await served[Symbol.asyncDispose]()
    await t.rejects(upload.write(2 * MiB, seededBytes(MiB, 3)), { code: 'GRANARY_REMOTE' })
    t.same(upload.unflushed, { offset: MiB, length: 2 * MiB })
    await t.rejects(upload.flush(), { code: 'GRANARY_REMOTE' })
    await upload[Symbol.asyncDispose]()
    t.equal(
      Buffer.compare((await served.readBack()).subarray(0, MiB), seededBytes(MiB, 1)),
      0,
      'what was flushed is there',
    )
  })
}
