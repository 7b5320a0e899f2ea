/** Which engines were tested: by the engine's own version, whatever the product is called. @module */
import { GranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { readApiRoot } from '../engine/resources/api-root.ts'
import type { ApiRoot } from '../engine/resources/api-root.ts'

const TESTED = ['4.4', '4.5']

export const isTested = ({ version }: ApiRoot): boolean => TESTED.includes(`${version.major}.${version.minor}`)

/** `zVirt Engine version: 4.5 (4.5.5-1.el8)`. */
export const describeEngine = ({ name, version }: ApiRoot): string =>
  `${name}${/engine$/i.test(name) ? '' : ' Engine'} version: ${version.major}.${version.minor} (${version.full})`

/** @throws GranaryError `GRANARY_UNSUPPORTED` for an engine that was not tested, unless it is allowed */
export const checkVersion = async (
  engine: Engine,
  { allowsOthers, signal }: AbortOptions & { readonly allowsOthers: boolean },
): Promise<ApiRoot> => {
  const root = await readApiRoot(engine, { signal })
  if (allowsOthers || isTested(root)) return root
  throw new GranaryError('GRANARY_UNSUPPORTED', `${describeEngine(root)}: tested are ${TESTED.join(' and ')}`, {
    detail: { product: root.name, version: root.version.full },
    hint: 'set allow_work_with_incompatible_versions yes to work with it all the same',
  })
}
