{
  "targets": [
    {
      "target_name": "cria",
      "type": "none",
      "actions": [
        {
          "action_name": "build_with_cmake",
          "inputs": ["CMakeLists.txt", "scripts/build-native.mjs"],
          "outputs": ["<(PRODUCT_DIR)/cria.node"],
          "action": ["node", "scripts/build-native.mjs"]
        }
      ]
    }
  ]
}
