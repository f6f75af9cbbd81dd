IGNORED, CLASS_COLLAPSE = "labels ignored", "class collapsed"
