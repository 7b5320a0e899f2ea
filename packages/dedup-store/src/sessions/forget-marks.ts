/** Who made the marks of forgetting: only a key holder's says for good that a snapshot may go. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import { openObject } from '../format/sealed-object.ts'
import { openSigned } from '../format/signed-object.ts'
import type { RepositoryContext } from './context.ts'
import { getOptional } from './decisions.ts'
import type { Signers } from './signers.ts'

export interface ForgetMarks {
  /** Hashes of the manifests that key holders have forgotten, by snapshot. */
  readonly signed: ReadonlyMap<string, string>
  /** What is wrong with the others, by snapshot. */
  readonly others: ReadonlyMap<string, string>
}

export const readForgetMarks = async (
  { backend, keys }: RepositoryContext,
  signers: Signers,
  { signal }: AbortOptions = {},
): Promise<ForgetMarks> => {
  const signed = new Map<string, string>()
  const others = new Map<string, string>()
  for await (const { key } of backend.list('forget/', { signal })) {
    const sid = key.slice('forget/'.length)
    const bytes = await getOptional(backend, key, signal)
    if (bytes === undefined) continue
    try {
      const { plain } = openObject(keys, ['forget'], key, bytes)
      const { value, signer } = openSigned<{ hash: string }>(key, plain)
      const { kind, isVerified } = signers.judge(signer, sid)
      if (kind === 'holder' && isVerified) signed.set(sid, value.hash)
      else others.set(sid, 'was forgotten by somebody who may not: its mark is no key holder’s')
    } catch (error) {
      if (!isGranaryError(error)) throw error
      others.set(sid, `counts as forgotten, but its mark can't be read: ${error.message}`)
    }
  }
  return { signed, others }
}
