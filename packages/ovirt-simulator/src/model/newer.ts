/** Attributes that came later: older engines refuse a body that has one (CONTRACT §0.1). @module */
import { isAtLeast } from '../profiles.ts'
import type { Profile } from '../profiles.ts'

/** Version of the engine that first knew an attribute; those of the API model, by their `since`. */
const SINCE: Readonly<Record<string, readonly number[]>> = {
  auto_pinning_policy: [4, 4, 8],
  backup_mode: [4, 5, 0],
  cpu_pinning_policy: [4, 5, 0],
  dynamic_cpu: [4, 5, 0],
  mediated_devices: [4, 5, 0],
  virtio_scsi_multi_queues: [4, 4, 8],
}

/** Says whether an engine knows an attribute. */
export const knowledgeOf =
  (profile: Profile): ((name: string) => boolean) =>
  name =>
    isAtLeast(profile, ...(SINCE[name] ?? []))
