/* SPDX-License-Identifier: MIT
 * Tells the service manager, if there is one, how far the program is: the protocol of sd_notify(3),
 * a datagram to the socket that NOTIFY_SOCKET names. */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

/* "READY=1", "STOPPING=1". Nobody may be there to hear it: that is no failure. */
void notify_manager(const char *state);

#endif
