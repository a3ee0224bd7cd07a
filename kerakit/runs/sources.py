"""Where the data and weights come from that presets name and that do not ship."""

SOURCES = {
    "folder:sign-digits": (
        "The images are at https://github.com/ardamavi/Sign-Language-Digits-Dataset (Apache-2.0): "
        "git clone it, then give --data folder:Sign-Language-Digits-Dataset/Dataset"
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
