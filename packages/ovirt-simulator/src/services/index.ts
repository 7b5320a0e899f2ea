/** Everything that the API offers: the one list of services. @module */
import type { Route } from '../http/routes.ts'
import type { Transfers } from '../engine/transfers.ts'
import type { World } from '../model/world.ts'
import { attachmentRoutes } from './attachments.ts'
import { backupRoutes } from './backups.ts'
import { cdromRoutes } from './cdroms.ts'
import { diskRoutes } from './disks.ts'
import { eventRoutes } from './events.ts'
import { extraRoutes } from './extras.ts'
import { nicRoutes } from './nics.ts'
import { permissionRoutes } from './permissions.ts'
import { plainRoutes } from './plain.ts'
import { rootRoutes } from './root.ts'
import { snapshotRoutes } from './snapshots.ts'
import { storageDomainRoutes } from './storage-domains.ts'
import { transferRoutes } from './transfers.ts'
import { vmRoutes } from './vms.ts'

export const allRoutes = (world: World, transfers: Transfers): Route[] => [
  ...transferRoutes(world, transfers),
  ...[
    rootRoutes,
    vmRoutes,
    attachmentRoutes,
    nicRoutes,
    backupRoutes,
    snapshotRoutes,
    cdromRoutes,
    extraRoutes,
    diskRoutes,
    storageDomainRoutes,
    eventRoutes,
    permissionRoutes,
    plainRoutes,
  ].flatMap(routes => routes(world)),
]
