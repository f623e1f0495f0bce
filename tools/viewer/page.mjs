// Functions that run in OHIF's page: what it has loaded and what it shows.

/** The drawn segments, by label: volume in ml and centre of mass in LPS, mm. */
export function drawnSegments() {
  const { cornerstone, services } = window;
  const [{ segments, representationData }] = services.segmentationService.getSegmentations();
  const { labelmaps, segmentBindings } = representationData.Labelmap;
  const sums = new Map(Object.values(labelmaps).map(({ labelmapId, imageIds }) => [labelmapId, sumsOf(imageIds)]));
  return Object.values(segments).map(({ segmentIndex, label }) => {
    const { labelmapId, labelValue } = segmentBindings[segmentIndex];
    const { ml, moment } = sums.get(labelmapId).get(labelValue) ?? { ml: 0, moment: [0, 0, 0] };
    return [label, { ml, centre: moment.map((sum) => sum / ml) }];
  });

  /** Of each value in a labelmap, ml and mm times ml. */
  function sumsOf(imageIds) {
    const images = imageIds.map((id) => cornerstone.cache.getImage(id));
    const planes = images.map((image) => cornerstone.metaData.get('imagePlaneModule', image.referencedImageId));
    const heights = new Set(planes.map((plane) => plane.imagePositionPatient[2]));
    const distance = (Math.max(...heights) - Math.min(...heights)) / (heights.size - 1);
    const sums = new Map();
    images.forEach((image, place) => {
      const { rowPixelSpacing, columnPixelSpacing, rowCosines, columnCosines, imagePositionPatient } = planes[place];
      const pixelMl = (rowPixelSpacing * columnPixelSpacing * distance) / 1000;
      for (const [value, { pixels, columns, rows }] of pixelsOf(image)) {
        const sum = sums.get(value) ?? { ml: 0, moment: [0, 0, 0] };
        sums.set(value, sum);
        sum.ml += pixels * pixelMl;
        for (const axis of [0, 1, 2]) {
          const right = columns * columnPixelSpacing * rowCosines[axis];
          const down = rows * rowPixelSpacing * columnCosines[axis];
          sum.moment[axis] += pixelMl * (pixels * imagePositionPatient[axis] + right + down);
        }
      }
    });
    return sums;
  }

  /** Of each value in an image, the number of its pixels and the sums of their columns and rows. */
  function pixelsOf(image) {
    const sums = new Map();
    image.voxelManager.getScalarData().forEach((value, at) => {
      if (value) {
        const sum = sums.get(value) ?? { pixels: 0, columns: 0, rows: 0 };
        sums.set(value, sum);
        sum.pixels += 1;
        sum.columns += at % image.columns;
        sum.rows += Math.floor(at / image.columns);
      }
    });
    return sums;
  }
}

/** The image on screen: its series, its place in LPS, mm, and the share of the screen's pixels that are no grey. */
export function shownImage() {
  const { cornerstone, services } = window;
  const { viewportGridService, cornerstoneViewportService } = services;
  const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportGridService.getActiveViewportId());
  const imageId = viewport?.getCurrentImageId?.();
  if (!imageId) {
    return undefined;
  }
  const canvas = viewport.getCanvas();
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let coloured = 0;
  let bright = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = data.subarray(at, at + 3);
    coloured += Math.max(red, green, blue) - Math.min(red, green, blue) > 40;
    bright += Math.max(red, green, blue) > 100;
  }
  return {
    series: imageId.match(/series\/([^/]+)/)?.[1],
    images: viewport.getImageIds().length,
    position: cornerstone.metaData.get('imagePlaneModule', imageId)?.imagePositionPatient,
    coloured: coloured / (data.length / 4),
    bright: bright / (data.length / 4),
  };
}
