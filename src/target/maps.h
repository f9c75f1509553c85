/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TARGET_MAPS_H
#define TARGET_MAPS_H

#include <csample/target.h>

/* Gives the mappings of a file the image and bias of its executable one beside them. */
void maps_share_images(struct maps *maps);

#endif
