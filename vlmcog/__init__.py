"""vlmcog: does fine-tuning make a vision-language model see the physical world as people do?"""

__version__ = "0.1.0"
