/** The client's suite against the real `ovirt-imageio`. */
import { imageioClientSuite } from './client-suite.ts'
import { startReal, whyNoImageio } from './daemons.ts'

await imageioClientSuite('real imageio', startReal, whyNoImageio())
