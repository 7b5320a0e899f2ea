/** A simulated imageio, its images and its time, for the client's tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Bytes, DiskReader } from '@granary/core'
import { SimulatedDisk, StorageSpace, createVirtualClock, startImageio, writeBackDisk } from '@granary/ovirt-simulator'
import type { Imageio, ImageBackend, VirtualClock, WriteBackDisk } from '@granary/ovirt-simulator'
import type { OpenImageDiskOptions } from '../../src/imageio/image-disk.ts'
import { makeCertificates } from './certificates.ts'

export interface SimulatedHost {
  readonly clock: VirtualClock
  readonly daemon: Imageio
  readonly certificates: ReturnType<typeof makeCertificates>
  readonly folder: string
  newDisk(sizeBytes: number): Promise<SimulatedDisk>
  /** A ticket for a disk; what is not given is a download with 300 s. */
  addTicket(disk: ImageBackend['disk'], ticket?: Readonly<Record<string, unknown>>): string
  /** A ticket for an upload, whose host can crash. */
  addUpload(disk: SimulatedDisk, ticket?: Readonly<Record<string, unknown>>): { id: string; cache: WriteBackDisk }
  optionsFor(ticketId: string): OpenImageDiskOptions
}

/** Removed with the test file. */
export const startHost = async (options: { readonly localSocket?: string } = {}): Promise<SimulatedHost> => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-imageio-'))
  const certificates = makeCertificates(folder)
  const clock = createVirtualClock()
  const images = new Map<string, ImageBackend>()
  const daemon = await startImageio({
    clock,
    certificate: certificates,
    ...options,
    openBackend: async url => images.get(url) as ImageBackend,
  })
  t.teardown(async () => {
    await daemon[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const space = new StorageSpace({ name: 'nfs', kind: 'file', capacityBytes: 2 ** 40 })
  let count = 0
  const addTicket: SimulatedHost['addTicket'] = (disk, ticket = {}) => {
    const uuid = `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`
    const url = `nbd:unix:/${uuid}`
    images.set(url, { disk, kind: 'nbd' })
    daemon.addTicket({ uuid, url, size: disk.sizeBytes, ops: ['read'], timeout: 300, ...ticket })
    return uuid
  }
  return {
    clock,
    daemon,
    certificates,
    folder,
    newDisk: async sizeBytes => {
      const place = { folder: join(folder, `disk${++count}`), volumeId: 'base' }
      return await SimulatedDisk.create({ ...place, sizeBytes, format: 'cow', space })
    },
    addTicket,
    addUpload(disk, ticket = {}) {
      const cache = writeBackDisk(disk.open())
      return { id: addTicket(cache, { ops: ['write'], sparse: true, ...ticket }), cache }
    },
    optionsFor: ticketId => ({
      transferUrl: daemon.urlOf(ticketId),
      ca: certificates.ca,
      clock,
      isLocalAllowed: false,
    }),
  }
}

export const readAll = async (disk: DiskReader): Promise<Bytes> => {
  const bytes = new Uint8Array(disk.sizeBytes)
  await disk.read(0, bytes)
  return bytes
}
