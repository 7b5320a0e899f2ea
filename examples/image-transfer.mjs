// Uploads a disk over an image transfer of imageio and downloads it again, through a connection that breaks: against the
// simulated daemon here. A real engine gives the two URLs (`transfer_url`, `proxy_url`) and the authority's certificate.
//
//   node examples/image-transfer.mjs DISK.raw RESTORED.raw
import { copyDisk, createRawDisk, formatBytes, openRawReader } from '@granary/core'
import { openImageDisk, openImageUpload } from '@granary/ovirt-adapter'
import { createAuthority, createRealClock, startImageio } from '@granary/ovirt-simulator'

const [sourcePath, restoredPath] = process.argv.slice(2)
const source = await openRawReader(sourcePath)

// The daemon of a host, and a ticket for a new volume there.
const authority = createAuthority('example')
const volume = await createRawDisk(`${restoredPath}.volume`, source.sizeBytes)
const daemon = await startImageio({
  clock: createRealClock(),
  certificate: authority.issue({ names: ['localhost'] }),
  openBackend: async () => ({ disk: volume, kind: 'nbd' }),
})
const ticket = { uuid: 'an-id-that-is-secret', url: 'nbd:unix:/volume', size: source.sizeBytes, timeout: 300 }
daemon.addTicket({ ...ticket, ops: ['write'], sparse: true })
const options = { transferUrl: daemon.urlOf(ticket.uuid), ca: authority.cert }

const upload = await openImageUpload({ ...options, readsZero: true })
const { dataBytes } = await copyDisk(source, upload)
console.log(`${formatBytes(dataBytes)} uploaded, durable after ${upload.flushes} flush`)
await upload[Symbol.asyncDispose]()

// The next answer ends after a hundred thousand bytes.
daemon.armFault({ when: ({ method }) => method === 'GET', after: 2, effect: { kind: 'drop', afterBytes: 100_000 } })
const image = await openImageDisk(options)
const restored = await createRawDisk(restoredPath, image.sizeBytes)
await copyDisk(image, restored)
console.log(`${formatBytes(image.sizeBytes)} downloaded by way of the ${image.way}`)

for (const open of [image, restored, source, daemon]) await open[Symbol.asyncDispose]()
