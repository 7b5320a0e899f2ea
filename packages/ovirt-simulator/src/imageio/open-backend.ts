/** Images behind the URLs that the real daemon knows: files, NBD servers, and other daemons (for a proxy). §6.9 @module */
import { readFile } from 'node:fs/promises'
import { GranaryError, isGranaryError, openRawReader, openRawWriter } from '@granary/core'
import { connectNbd } from '@granary/nbd'
import type { ImageBackend, OpenBackend } from './backend.ts'
import { openRemoteImage } from './remote-image.ts'

export interface BackendOptions {
  /** Certificate that the daemons behind a proxy are checked with. */
  readonly caFile?: string
  /** Name of the dirty bitmap that an NBD server has for a ticket with `dirty`. */
  readonly bitmap?: string
}

export const openBackendByUrl =
  ({ caFile, bitmap }: BackendOptions = {}): OpenBackend =>
  async (url, { isWritable, isDirty }) => {
    const parsed = new URL(url)
    if (parsed.protocol === 'file:') return await openFile(url.replace(/^file:(\/\/)?/, ''), isWritable)
    if (parsed.protocol === 'nbd:') return await openNbd(nbdUri(url), isDirty ? bitmap : undefined)
    const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
    return { disk: await openRemoteImage(url, { ca }), kind: 'nbd' }
  }

/** Holes can be told from zeros where the server tells depths. */
const openNbd = async (uri: string, bitmap: string | undefined): Promise<ImageBackend> => {
  const options = bitmap === undefined ? {} : { bitmap }
  try {
    return { disk: await connectNbd(uri, { ...options, allocationDepth: true }), kind: 'nbd' }
  } catch (error) {
    if (!isGranaryError(error) || error.code !== 'GRANARY_NOT_FOUND') throw error
    return { disk: await connectNbd(uri, options), kind: 'nbd' }
  }
}

const openFile = async (path: string, isWritable: boolean): Promise<ImageBackend> => ({
  disk: isWritable ? await openRawWriter(path) : await openRawReader(path),
  kind: 'file',
})

/** QEMU's short form: `nbd:unix:/sock[:exportname=x]`, `nbd:host:port[:exportname=x]`. */
const nbdUri = (url: string): string => {
  const match = /^nbd:(?:unix:([^:]+)|([^:]+):(\d+))(?::exportname=(.*))?$/.exec(url)
  if (match === null)
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `expected nbd:unix:PATH or nbd:HOST:PORT, found ${url}`)
  const [, path, host, port, name = ''] = match
  const exported = encodeURIComponent(name)
  return path === undefined
    ? `nbd://${host}:${port}/${exported}`
    : `nbd+unix:///${exported}?socket=${encodeURIComponent(path)}`
}
