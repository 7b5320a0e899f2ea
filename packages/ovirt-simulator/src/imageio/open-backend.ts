/** Images behind the URLs that the real daemon knows: files, NBD servers, and other daemons (for a proxy). §6.9 @module */
import { readFile } from 'node:fs/promises'
import { GranaryError, openRawReader, openRawWriter } from '@granary/core'
import { connectNbd } from '@granary/nbd'
import type { ImageBackend, OpenBackend } from './backend.ts'
import { openRemoteImage } from './remote-image.ts'

/** @param caFile certificate that a proxy's daemons are checked with */
export const openBackendByUrl =
  ({ caFile }: { readonly caFile?: string } = {}): OpenBackend =>
  async (url, { isWritable }) => {
    const parsed = new URL(url)
    if (parsed.protocol === 'file:') return await openFile(url.replace(/^file:(\/\/)?/, ''), isWritable)
    if (parsed.protocol === 'nbd:') return { disk: await connectNbd(nbdUri(url)), kind: 'nbd' }
    const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
    return { disk: await openRemoteImage(url, { ca }), kind: 'nbd' }
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
