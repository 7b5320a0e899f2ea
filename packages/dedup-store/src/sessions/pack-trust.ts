/**
 * Whether a pack is believed to hold what its list says, without reading it: a writer relies on that when it stores a chunk no
 * second time. Key holders are believed, everybody believes himself, and write-only clients once their packs were read; but
 * nobody where a pack was found damaged.
 *
 * @module
 */
import type { AbortOptions } from '@granary/core'
import { hexOfId } from '../format/ids.ts'
import type { OpenPack } from '../packs/open-pack.ts'
import type { RepositoryContext } from './context.ts'
import { readDamagedPacks } from './damaged-packs.ts'
import { readPassedPacks } from './passed-packs.ts'
import { readSigners } from './signers.ts'

export type PackTrust = (pack: OpenPack) => boolean

export const readPackTrust = async (context: RepositoryContext, options: AbortOptions = {}): Promise<PackTrust> => {
  const { keys } = context
  const own = hexOfId(keys.ownSigner.publicKey)
  const passed = await readPassedPacks(context, options)
  const damaged = await readDamagedPacks(context, options)
  const hasClients = (await readSigners(context, options)).entries.some(({ kind }) => kind === 'client')
  return pack => {
    if (damaged.has(pack.key)) return false
    const standing = passed.get(pack.key)
    if (standing !== undefined && standing.digest === pack.digest) return true
    if (pack.isSigned) return pack.signer !== undefined && (keys.holders.has(pack.signer) || pack.signer === own)
    // From before packs were signed: the wrap key vouches for data, which clients don't have; map packs they could make.
    return keys.access === 'holder' && (pack.type === 'dataPack' || !hasClients)
  }
}
