/** The configured bandwidth, for all disks of a restore together. @module */
import { limitRate, limitReads } from '../backup/bandwidth.ts'
import type { ReadableSource, RestoreContext } from './context.ts'

export const limitSource = (
  { engine, settings }: Pick<RestoreContext, 'engine' | 'settings'>,
  source: ReadableSource,
): ReadableSource => {
  const { bandwidthBytesPerSecond } = settings.limits
  if (bandwidthBytesPerSecond === undefined) return source
  const limit = limitRate(bandwidthBytesPerSecond, engine.clock)
  return {
    ...source,
    openDisk: async (name, options) => limitReads(await source.openDisk(name, options), limit),
  }
}
