/** What engine this is. @module */
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine.ts'
import { integerOf, objectOf, textOf, timeOf } from '../json.ts'

/** Names and full versions come from whoever branded the product: nothing may depend on them. */
export interface ApiRoot {
  readonly name: string
  readonly vendor: string
  readonly version: { readonly major: number; readonly minor: number; readonly build: number; readonly full: string }
  readonly instanceId: string | undefined
  /** The engine's clock. */
  readonly timeMs: number | undefined
  /** As the engine sends it. */
  readonly productInfo: Readonly<Record<string, unknown>>
}

export const readApiRoot = async (engine: Engine, options: AbortOptions = {}): Promise<ApiRoot> => {
  const root = await engine.get('', options)
  const info = objectOf(root, 'product_info') ?? {}
  const version = objectOf(info, 'version') ?? {}
  return {
    name: textOf(info, 'name') ?? 'unnamed',
    vendor: textOf(info, 'vendor') ?? '',
    version: {
      major: integerOf(version, 'major') ?? 0,
      minor: integerOf(version, 'minor') ?? 0,
      build: integerOf(version, 'build') ?? 0,
      full: textOf(version, 'full_version') ?? '',
    },
    instanceId: textOf(info, 'instance_id'),
    timeMs: timeOf(root, 'time'),
    productInfo: info,
  }
}
