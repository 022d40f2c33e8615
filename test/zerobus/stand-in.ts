/** The server where the examples expect one. */
import { ZerobusServer } from './server'

const PORTS: [number, number] = [4480, 4481]

/** Undefined where another one runs already. */
export async function standIn(): Promise<ZerobusServer | undefined> {
  try {
    return await ZerobusServer.start({ ports: PORTS, ackDelayMs: 50, forget: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined
    throw error
  }
}
